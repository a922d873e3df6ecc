// The directory of a spool: created where it is missing, synced, and checked at the start.

import type { Stats } from 'node:fs'
import { access, constants, mkdir, open, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorMessage } from '../../text/error-message.ts'
import { codeOf, unless } from '../error-code.ts'
import { shown } from '../settings/settings-issue.ts'
import { isOwn } from './regular-file.ts'

/** Records hold what callers sent: they are the owner's alone. */
export const FILE_MODE = 0o600
export const DIRECTORY_MODE = 0o700
const CHECK_WITHIN_MS = 2000

/** Rights of the group or of others to write. */
const OTHERS_WRITE = 0o022
const STICKY = 0o1000

/** Faults that do not go away by waiting: somebody has to change the setting or the rights. */
const LASTING_FAULTS: ReadonlySet<string> = new Set([
  ...['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG'],
])

/** Some network file systems cannot sync a directory, and need not. */
const unlessUnsupported = unless('EINVAL', 'ENOTSUP')

/** A directory that Deployer must not, or can never, keep records in. */
export class UnusableDirectoryError extends Error {
  override readonly name = 'UnusableDirectoryError'
}

/**
 * Checks at the start whether a directory can be a spool. It is created where it is missing.
 *
 * @param path The directory, from the root.
 * @param timeoutMs The longest to wait for the disk, in milliseconds. Default: 2 s.
 * @returns What is wrong with the setting, as text behind its name; undefined when it is right, or
 *   when the disk fails in a way that may pass: it is full, it hangs, it is read-only.
 */
export async function checkSpoolDirectory(
  path: string,
  timeoutMs: number = CHECK_WITHIN_MS,
): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs)
  })
  const fault = prepareSpoolDirectory(path).then(
    () => undefined,
    (error: unknown) =>
      error instanceof UnusableDirectoryError ? `is ${shown(path)}: ${error.message}` : undefined,
  )
  return await Promise.race([fault, late]).finally(() => clearTimeout(timer))
}

/**
 * Creates the directory of a spool where it is missing, and checks that nobody but the user of this
 * process can change what is in it, or put another directory in its place.
 *
 * @param path The directory, from the root.
 * @returns The same directory by a path without links.
 * @throws UnusableDirectoryError that says what is wrong and what to do, or the error of the system
 *   call that failed for a reason that may pass.
 */
export async function prepareSpoolDirectory(path: string): Promise<string> {
  try {
    await createDirectory(path)
    const real = await realpath(path)
    checkDirectory(await stat(real))
    for (let parent = dirname(real); ; parent = dirname(parent)) {
      checkParent(parent, await stat(parent))
      if (parent === dirname(parent)) {
        break
      }
    }
    await access(real, constants.R_OK | constants.W_OK | constants.X_OK)
    return real
  } catch (error) {
    if (LASTING_FAULTS.has(codeOf(error) ?? '')) {
      throw new UnusableDirectoryError(
        `it cannot be used (${errorMessage(error)}); name a directory that Deployer can create or write`,
        { cause: error },
      )
    }
    throw error
  }
}

function checkDirectory(stats: Stats): void {
  if (!stats.isDirectory()) {
    throw new UnusableDirectoryError('it is not a directory; name one')
  }
  if (!isOwn(stats)) {
    throw new UnusableDirectoryError(
      `it belongs to user ${stats.uid}, and Deployer runs as user ${process.geteuid?.()}; give it to that user (chown -R)`,
    )
  }
  if ((stats.mode & OTHERS_WRITE) !== 0) {
    throw new UnusableDirectoryError(
      `other users can write to it (mode ${octal(stats)}), and could take messages away or add some; set its mode to 0700`,
    )
  }
}

/** Who can write to a parent can rename what is in it, unless the sticky bit is set, as for /tmp. */
function checkParent(path: string, stats: Stats): void {
  if ((stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0) {
    throw new UnusableDirectoryError(
      `other users can write to ${shown(path)} above it (mode ${octal(stats)}), and could put another directory in its place; take that right from them (chmod go-w)`,
    )
  }
}

function octal({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

/**
 * Creates a directory, and what is missing above it, for its owner alone. One after the other: where
 * the system says ENOENT below a directory that exists, as in /proc, Node's own recursion never ends.
 *
 * @param path The directory, from the root.
 * @returns Nothing, once it would outlive a crash.
 */
export async function createDirectory(path: string): Promise<void> {
  const missing: string[] = []
  for (let at = path; !(await exists(at)); at = dirname(at)) {
    missing.unshift(at)
  }
  for (const directory of missing) {
    await mkdir(directory, { mode: DIRECTORY_MODE }).catch(unless('EEXIST'))
    await syncDirectory(dirname(directory))
  }
}

/**
 * Tells whether a path leads to something.
 *
 * @param path The path; links are followed.
 */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    unless('ENOENT')(error)
    return false
  }
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
