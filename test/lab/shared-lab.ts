// Access to the shared lab for test files.

import { inject } from 'vitest'
import type {} from './global-setup.ts'
import { connectLab, type SharedLab } from './lab.ts'

/**
 * Connects to the lab of this worker, which test files use one after the other. Its daemons must keep
 * running: a test that stops one of them starts a lab of its own.
 *
 * @returns The lab.
 */
export function sharedLab(): SharedLab {
  // Vitest numbers the workers that run at the same time from 1 to `maxWorkers`.
  const lab = inject('labs')[Number(process.env.VITEST_POOL_ID) - 1]
  if (lab === undefined) throw new Error(`No lab for worker ${process.env.VITEST_POOL_ID}`)
  return connectLab(lab)
}
