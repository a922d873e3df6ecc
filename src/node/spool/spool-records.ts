// Reads the records that an earlier process left in the directory of a spool.

import type { Stats } from 'node:fs'
import { lstat, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../logger.ts'
import type { SpooledRecord } from '../../notification/spool.ts'
import { errorMessage } from '../../text/error-message.ts'
import { errorCode } from '../error-code.ts'
import { readRegularFile } from './regular-file.ts'

/** Options of {@link readRecords}. */
export interface ReadingOptions {
  /** The name of the directory in the log. */
  readonly directory: string
  /** Logs records that cannot be read. */
  readonly logger: Logger
  /** Called if the files cannot be listed. A missing directory is not an error. */
  readonly onListError: (error: unknown) => void
  /** The keys of the records to read. Default: all records. */
  readonly keys?: readonly string[]
}

/** The maximum size of a record, in bytes. */
export const MAX_RECORD_BYTES = 1_048_576

const RECORD_FILE = /^([A-Za-z0-9_-]{1,120})\.json$/
/** The name of a file while a record is written. */
export const TEMPORARY_FILE: RegExp = /^[A-Za-z0-9_-]{1,120}\.json\.[0-9a-f]{1,16}$/
/** How many files are open at the same time. */
const MAX_OPEN = 16

/**
 * Returns the key of the record in a file.
 *
 * @param file The name of the file.
 * @returns The key; undefined if the file is not a record.
 */
export function keyOfFile(file: string): string | undefined {
  return RECORD_FILE.exec(file)?.[1]
}

/**
 * Reads the records of a directory. Temporary files of a crashed process are removed. A file that is not a
 * valid record is renamed, so that it is not read again.
 *
 * @param root The absolute path of the directory.
 * @param options The keys to read, and how errors are reported.
 * @returns The records in the order of their keys, without those that cannot be read.
 */
export async function readRecords(
  root: string,
  { directory, logger, onListError, keys }: ReadingOptions,
): Promise<readonly SpooledRecord[]> {
  async function list(): Promise<readonly string[]> {
    try {
      return await readdir(root)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        onListError(error)
      }
      return []
    }
  }

  async function readRecord(key: string): Promise<readonly SpooledRecord[]> {
    const file = `${key}.json`
    const path = join(root, file)
    try {
      const content = await readRegularFile(path, MAX_RECORD_BYTES)
      if (content.kind === 'content') {
        const record = parse(content.bytes)
        if (record.ok) {
          return [{ key, value: record.value }]
        }
        await setAside(file, record.reason)
      } else if (content.isForeign) {
        logUnreadable(file, content.reason)
      } else {
        await setAside(file, content.reason)
      }
    } catch (error) {
      // The next process may be able to read a record that the disk or the permissions do not allow to
      // read now.
      if (errorCode(error) !== 'ENOENT') {
        logUnreadable(file, errorMessage(error))
      }
    }
    return []
  }

  /** Renames a file that is not a valid record. */
  async function setAside(file: string, reason: string): Promise<void> {
    logUnreadable(file, reason)
    await rename(join(root, file), join(root, `${file}.unreadable`)).catch(() => {})
  }

  function logUnreadable(file: string, reason: string): void {
    logger.error({ directory, file, reason }, 'A message in SPOOL_DIR cannot be read')
  }

  async function removeTemporaryFile(file: string): Promise<void> {
    const path = join(root, file)
    const stats: Stats | undefined = await lstat(path).catch(() => undefined)
    if (stats?.isFile() === true && stats.mtimeMs < performance.timeOrigin) {
      await unlink(path).catch(() => {})
    }
  }

  async function listKeys(): Promise<readonly string[]> {
    const files = await list()
    await inBatches(
      files.filter((file) => TEMPORARY_FILE.test(file)),
      removeTemporaryFile,
    )
    return files.flatMap((file) => keyOfFile(file) ?? [])
  }

  const sorted = [...(keys ?? (await listKeys()))].sort()
  return (await inBatches(sorted, readRecord)).flat()
}

type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: string }

/** The reason does not quote the record, as the message of a syntax error would. */
function parse(bytes: Uint8Array): Parsed {
  try {
    return { ok: true, value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch {
    return { ok: false, reason: bytes.length === 0 ? 'it is empty' : 'it is not JSON' }
  }
}

async function inBatches<T, R>(
  items: readonly T[],
  act: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += MAX_OPEN) {
    results.push(...(await Promise.all(items.slice(at, at + MAX_OPEN).map(act))))
  }
  return results
}
