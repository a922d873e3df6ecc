// What an earlier process left in the directory of a spool.

import type { Stats } from 'node:fs'
import { lstat, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../logger.ts'
import type { SpooledRecord } from '../../notification/spool.ts'
import { errorMessage } from '../../text/error-message.ts'
import { codeOf } from '../error-code.ts'
import { readRegularFile } from './regular-file.ts'

/** What reading needs beside the directory. */
export interface ReadingOptions {
  /** The directory, as the log is to name it. */
  readonly directory: string
  /** Is told of records that cannot be read. */
  readonly logger: Logger
  /** Is told why there is no list of the files. A directory that is not there has none. */
  readonly unlisted: (error: unknown) => void
  /** The keys of the records to read. Default: all that are there. */
  readonly keys?: readonly string[]
}

/** The longest record, in bytes. */
export const MAX_RECORD_BYTES = 1_048_576

const RECORD_FILE = /^([A-Za-z0-9_-]{1,120})\.json$/
/** What is written before it becomes a record; the name of one has a random number. */
export const TEMPORARY_FILE: RegExp = /^[A-Za-z0-9_-]{1,120}\.json\.[0-9a-f]{1,16}$/
/** How many files are open at a time. */
const MAX_OPEN = 16

/**
 * Tells the key of a record by the name of its file.
 *
 * @param file The name.
 * @returns The key; undefined when that is no file of a record.
 */
export function keyOfFile(file: string): string | undefined {
  return RECORD_FILE.exec(file)?.[1]
}

/**
 * Reads the records of a directory. What a crash left half written is removed, and what is no
 * record is set aside.
 *
 * @param root The directory, from the root.
 * @param options Who is told of trouble.
 * @returns The records in the order of their keys, without those that cannot be read.
 */
export async function readRecords(
  root: string,
  { directory, logger, unlisted, keys }: ReadingOptions,
): Promise<readonly SpooledRecord[]> {
  async function list(): Promise<readonly string[]> {
    try {
      return await readdir(root)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        unlisted(error)
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
        unreadable(file, content.reason)
      } else {
        await setAside(file, content.reason)
      }
    } catch (error) {
      // What the disk or the rights keep from being read now may be read by the next process.
      if (codeOf(error) !== 'ENOENT') {
        unreadable(file, errorMessage(error))
      }
    }
    return []
  }

  /** It is no record, and never will be. */
  async function setAside(file: string, reason: string): Promise<void> {
    unreadable(file, reason)
    await rename(join(root, file), join(root, `${file}.unreadable`)).catch(() => {})
  }

  function unreadable(file: string, reason: string): void {
    logger.error({ directory, file, reason }, 'A message in SPOOL_DIR cannot be read')
  }

  async function removeLeftOver(file: string): Promise<void> {
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
      removeLeftOver,
    )
    return files.flatMap((file) => keyOfFile(file) ?? [])
  }

  const sorted = [...(keys ?? (await listKeys()))].sort()
  return (await inBatches(sorted, readRecord)).flat()
}

type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: string }

/** The reason quotes nothing of the record, as a syntax error would. */
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
