// Access to the shared labs for test files.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, inject } from 'vitest'
import type {} from './global-setup.ts'
import { connectLab, type SharedLab } from './lab.ts'

// There are as many labs as files that run at the same time, so a lab is free soon.
const CLAIM_WITHIN_MS = 150_000

let isClaimed = false

/**
 * Connects to a lab that no other test file uses at the same time. Its daemons must keep running: a test
 * that stops one of them starts a lab of its own.
 *
 * Vitest's own numbers of its workers do not tell which lab is free: where the tests of another project
 * ran before, two files that run at the same time can have the same number (seen with 4.1).
 *
 * @returns The lab. The file gives it back after its other `afterAll` hooks.
 * @throws Error when the file has a lab already: two files that wait for a second one would wait for ever.
 */
export function sharedLab(): SharedLab {
  if (isClaimed) throw new Error('A test file can have one shared lab: call sharedLab() once')
  isClaimed = true
  const labs = inject('labs')
  const giveUpAt = Date.now() + CLAIM_WITHIN_MS
  while (Date.now() < giveUpAt) {
    const lab = labs.find(({ directory }) => claim(join(directory, 'claimed')))
    if (lab !== undefined) return connectLab(lab)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  }
  throw new Error(`Each of the ${labs.length} labs was in use for ${CLAIM_WITHIN_MS / 1000} s`)
}

/** Creates a file, which only one of several processes can do. */
function claim(path: string): boolean {
  try {
    writeFileSync(path, `${process.pid}`, { flag: 'wx' })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
  afterAll(() => rmSync(path, { force: true }))
  return true
}
