// Reads files that must be regular files of this user: no links, no FIFOs, no devices.

import type { Stats } from 'node:fs'
import { constants, lstat, open } from 'node:fs/promises'
import { errorCode } from '../error-code.ts'

/** The content of a file, or why it was not read. */
export type RegularFile =
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  /** `isForeign`: the file belongs to another user, so it is left as it is. */
  | { readonly kind: 'refused'; readonly reason: string; readonly isForeign: boolean }

// Windows has neither.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants

/**
 * Reads a file if it is a regular file that belongs to the user of this process. Links are not followed,
 * and files that would block or are endless are not read. A file with several hard links is read, because
 * backup programs create them.
 *
 * @param path The file.
 * @param maxBytes The maximum size. A larger file is refused.
 * @returns The content, or the reason why the file is refused.
 * @throws The error of the system call that failed, such as `ENOENT` or `EACCES`.
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<RegularFile> {
  // Opening a device can have side effects, so the type is checked first. The file can be replaced before
  // it is opened, so the type is checked again afterwards.
  const early = refusalOf(await lstat(path), maxBytes)
  if (early !== undefined) {
    return early
  }
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (errorCode(error) === 'ELOOP' || errorCode(error) === 'ENXIO') {
      return refused('it is not a regular file')
    }
    throw error
  }
  try {
    const stats = await handle.stat()
    const late = refusalOf(stats, maxBytes)
    if (late !== undefined) {
      return late
    }
    const buffer = new Uint8Array(stats.size + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
      length += bytesRead
      if (length === buffer.length) {
        return refused('it grew while it was read')
      }
      if (bytesRead === 0) {
        return { kind: 'content', bytes: buffer.subarray(0, length) }
      }
    }
  } finally {
    await handle.close()
  }
}

/**
 * Checks whether a file or directory belongs to the user of this process.
 *
 * @param stats Its status.
 * @returns Whether it does; true on systems without user IDs.
 */
export function isOwn(stats: Stats): boolean {
  return process.geteuid === undefined || stats.uid === process.geteuid()
}

function refusalOf(stats: Stats, maxBytes: number): RegularFile | undefined {
  if (!stats.isFile()) {
    return refused('it is not a regular file')
  }
  if (!isOwn(stats)) {
    return refused(`it belongs to user ${stats.uid}`, true)
  }
  return stats.size > maxBytes ? refused(`it is larger than ${maxBytes} bytes`) : undefined
}

function refused(reason: string, isForeign = false): RegularFile {
  return { kind: 'refused', reason, isForeign }
}
