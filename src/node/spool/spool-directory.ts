// The directory of a spool: creates it if it is missing, syncs it, and checks it at startup.

import type { Stats } from 'node:fs'
import { access, constants, mkdir, open, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorMessage } from '../../text/error-message.ts'
import { errorCode, ignoreErrors } from '../error-code.ts'
import { shown } from '../settings/settings-issue.ts'
import { isOwn } from './regular-file.ts'

/** Records contain data of callers, so only their owner can read them. */
export const FILE_MODE = 0o600
export const DIRECTORY_MODE = 0o700
const CHECK_WITHIN_MS = 2000

/** The permissions of the group and of others to write. */
const OTHERS_WRITE = 0o022
const STICKY = 0o1000

/** Errors that last until an operator changes the setting or the permissions. */
const LASTING_ERRORS: ReadonlySet<string> = new Set([
  ...['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG'],
])

/** Some network file systems cannot sync a directory, and do not need it. */
const ignoreUnsupported = ignoreErrors('EINVAL', 'ENOTSUP')

/** Thrown for a directory that Deployer cannot use, or must not use because it is not safe. */
export class UnusableDirectoryError extends Error {
  override readonly name = 'UnusableDirectoryError'
}

/**
 * Checks at startup whether a directory can be used as a spool, and creates it if it is missing.
 *
 * @param path The absolute path of the directory.
 * @param timeoutMs How long to wait for the disk, in milliseconds. Default: 2 s.
 * @returns The reason why the setting cannot be used, as the rest of a sentence; undefined if it can be
 *   used, or if the disk fails for a reason that may be temporary: it is full, read-only or not responding.
 */
export async function checkSpoolDirectory(
  path: string,
  timeoutMs: number = CHECK_WITHIN_MS,
): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs)
  })
  const reason = prepareSpoolDirectory(path).then(
    () => undefined,
    (error: unknown) =>
      error instanceof UnusableDirectoryError ? `is ${shown(path)}: ${error.message}` : undefined,
  )
  return await Promise.race([reason, late]).finally(() => clearTimeout(timer))
}

/**
 * Creates the directory of a spool if it is missing, and checks that only the user of this process can
 * change its content or replace it.
 *
 * @param path The absolute path of the directory.
 * @returns The path of the same directory without links.
 * @throws UnusableDirectoryError with the reason and what to do, or the error of the system call that failed
 *   for a reason that may be temporary.
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
    if (LASTING_ERRORS.has(errorCode(error) ?? '')) {
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
    throw new UnusableDirectoryError('it is not a directory; name a directory')
  }
  if (!isOwn(stats)) {
    throw new UnusableDirectoryError(
      `it belongs to user ${stats.uid}, and Deployer runs as user ${process.geteuid?.()}; change its owner to that user (chown -R)`,
    )
  }
  if ((stats.mode & OTHERS_WRITE) !== 0) {
    throw new UnusableDirectoryError(
      `other users can write to it (mode ${octal(stats)}), and could remove or add messages; set its mode to 0700`,
    )
  }
}

/** A user that can write to a parent can rename its entries, unless the sticky bit is set, as for /tmp. */
function checkParent(path: string, stats: Stats): void {
  if ((stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0) {
    throw new UnusableDirectoryError(
      `other users can write to ${shown(path)} above it (mode ${octal(stats)}), and could replace it; remove that permission (chmod go-w)`,
    )
  }
}

function octal({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

/**
 * Creates a directory and its missing parents, accessible only to their owner, and syncs them. Node's own
 * `recursive` option is not used, because it never returns in file systems such as /proc, which report
 * ENOENT below a directory that exists.
 *
 * @param path The absolute path of the directory.
 */
export async function createDirectory(path: string): Promise<void> {
  const missing: string[] = []
  for (let at = path; !(await exists(at)); at = dirname(at)) {
    missing.unshift(at)
  }
  for (const directory of missing) {
    await mkdir(directory, { mode: DIRECTORY_MODE }).catch(ignoreErrors('EEXIST'))
    await syncDirectory(dirname(directory))
  }
}

/**
 * Checks whether a path exists.
 *
 * @param path The path; links are followed.
 * @returns Whether it exists.
 */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    ignoreErrors('ENOENT')(error)
    return false
  }
}

/**
 * Syncs a directory, so that its entries are kept if the machine crashes.
 *
 * @param path The directory.
 */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync().catch(ignoreUnsupported)
  } finally {
    await handle.close()
  }
}
