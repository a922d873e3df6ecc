// Starts the labs that the test files share, one for each worker of Vitest, and removes them at the end.

import type { TestProject } from 'vitest/node'
import { type Lab, type LabCoordinates, raiseLab } from './lab.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A test file claims one that is free. */
    labs: readonly LabCoordinates[]
  }
}

let labs: readonly Lab[] = []

/**
 * Starts the labs before the first test file.
 *
 * @param project Passes the coordinates of the labs to the test files.
 */
export async function setup(project: TestProject): Promise<void> {
  const count = Math.min(project.config.maxWorkers, await countFiles(project))
  // Despite its type `env` is undefined in a project that sets no variable.
  labs = await raiseLabs(count, project.config.env?.LAB_ENGINE_SUITE)
  project.provide(
    'labs',
    labs.map(({ directory, registry, beanstalkd }) => ({
      directory,
      registryAddress: registry.address,
      beanstalkdPort: beanstalkd.port,
    })),
  )
}

/** Removes the labs after the last test file. */
export async function teardown(): Promise<void> {
  await Promise.all(labs.map((lab) => lab.down()))
}

/** Counts the test files of the project that this run includes. */
async function countFiles(project: TestProject): Promise<number> {
  const included = new Set(project.vitest.state.getPaths())
  const { testFiles } = await project.globTestFiles()
  return testFiles.filter((file) => included.has(file)).length
}

/** Starts several labs at the same time; if one of them fails, the others are removed. */
async function raiseLabs(count: number, engineSuite: string | undefined): Promise<readonly Lab[]> {
  const results = await Promise.allSettled(
    Array.from({ length: count }, () => raiseLab({ log: console.log, engineSuite })),
  )
  const raised = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
  const failure = results.find((result) => result.status === 'rejected')
  if (failure === undefined) return raised
  await Promise.all(raised.map((lab) => lab.down()))
  throw failure.reason
}
