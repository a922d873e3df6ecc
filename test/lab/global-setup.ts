// Raises the one lab that the test files of the `lab` project share, and takes it down.

import type { TestProject } from 'vitest/node'
import { type Lab, type LabCoordinates, raiseLab } from './lab.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    lab: LabCoordinates
  }
}

let lab: Lab | undefined

/**
 * Raises the lab before the first test file.
 *
 * @param project Hands the lab's coordinates to the test files.
 */
export async function setup(project: TestProject): Promise<void> {
  lab = await raiseLab({ log: console.log })
  project.provide('lab', {
    directory: lab.directory,
    registryAddress: lab.registry.address,
    beanstalkdPort: lab.beanstalkd.port,
  })
}

/** Takes the lab down after the last test file. */
export async function teardown(): Promise<void> {
  await lab?.down()
}
