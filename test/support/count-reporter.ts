// A reporter of Vitest whose only line, the last one of a run, is "N passed, N failed", as `.ci/run` reads it.

import type { Reporter, TestModule } from 'vitest/node'

/** Counts the tests of a run. A file that failed otherwise than by its tests, or another error, counts as one. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    const brokenFiles = modules.filter((module) => module.errors().length > 0).length
    const failed = count('failed') + brokenFiles + errors.length
    // After the other reporters, which write at the same time.
    process.once('exit', () => console.log(`${count('passed')} passed, ${failed} failed`))
  }
}
