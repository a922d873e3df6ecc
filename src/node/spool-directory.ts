// The directory of a spool: made where it is missing, synced, and tried at start.

import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { reasonOf } from '../reason.ts'
import { unless } from './error-code.ts'
import { shown } from './faults.ts'

/** Records hold what callers sent: they are the owner's alone. */
export const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

const PROBE_FILE = '.probe'
const PROBE_BYTES = 16_384

/** Some network file systems cannot sync a directory, and need not. */
const unlessUnsupported = unless('EINVAL', 'ENOTSUP')

/**
 * Makes sure, at start, that a directory can keep records: it is created where it is missing, and a
 * probe is written, synced and removed. It blocks while it does.
 *
 * @param path The directory.
 * @throws Error that tells why the directory cannot be used.
 */
export function checkSpoolDirectory(path: string): void {
  try {
    const root = resolve(path)
    const first = mkdirSync(root, { recursive: true, mode: DIRECTORY_MODE })
    for (const changed of directoriesAbove(root, first)) {
      syncSync(changed, 'r')
    }
    const probe = join(root, PROBE_FILE)
    try {
      writeFileSync(probe, 'x'.repeat(PROBE_BYTES), { mode: FILE_MODE })
      syncSync(probe, 'r+')
    } finally {
      rmSync(probe, { force: true })
    }
  } catch (error) {
    throw new Error(
      `Cannot keep messages in ${shown(path)}: ${reasonOf(error)}; name a directory that can be written`,
      { cause: error },
    )
  }
}

function syncSync(path: string, flags: 'r' | 'r+'): void {
  const descriptor = openSync(path, flags)
  try {
    fsyncSync(descriptor)
  } catch (error) {
    unlessUnsupported(error)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Creates a directory, and what is missing above it, for its owner alone.
 *
 * @param path The directory, from the root.
 * @returns Nothing, once it would outlive a crash.
 */
export async function createDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: DIRECTORY_MODE })
  for (const changed of directoriesAbove(path, first)) {
    await syncDirectory(changed)
  }
}

/** The directories that have a new entry since `first` and what is below were created. */
function directoriesAbove(path: string, first: string | undefined): readonly string[] {
  const above: string[] = []
  for (let at = path; first !== undefined && at.length >= first.length; at = dirname(at)) {
    above.push(dirname(at))
  }
  return above
}

/**
 * Makes the entries of a directory outlive a crash.
 *
 * @param path The directory.
 */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync().catch(unlessUnsupported)
  } finally {
    await handle.close()
  }
}
