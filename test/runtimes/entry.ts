// The behaviour suite as one module for any runtime: the default export is a fetch handler, which
// workerd serves, and `runSuite` is what the others call.

import { suite } from '../behaviour/suite.ts'

/** How the suite went. */
export interface SuiteResult {
  readonly passed: number
  /** The name of each case that failed, and why. */
  readonly failures: readonly string[]
}

export async function runSuite(): Promise<SuiteResult> {
  const failures: string[] = []
  for (const { name, run } of suite) {
    try {
      await run()
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { passed: suite.length - failures.length, failures }
}

const handler: { fetch(): Promise<Response> } = {
  fetch: async () => Response.json(await runSuite()),
}

export default handler
