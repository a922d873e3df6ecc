// The lab that the test files share, as a test file sees it.

import { inject } from 'vitest'
import type {} from './global-setup.ts'
import { connectLab, type SharedLab } from './lab.ts'

/**
 * Reaches the shared lab. Its daemons are everybody's: a test that stops one raises its own lab.
 *
 * @returns The lab.
 */
export function sharedLab(): SharedLab {
  return connectLab(inject('lab'))
}
