// What an earlier process left in the directory of a spool.

import type { Stats } from 'node:fs'
import { readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger, SpooledRecord } from '../ports.ts'
import { reasonOf } from '../reason.ts'
import { codeOf } from './error-code.ts'

/** What reading needs beside the directory. */
export interface ReadingOptions {
  /** The directory, as the log is to name it. */
  readonly directory: string
  /** Is told of records that cannot be read. */
  readonly logger: Logger
  /** Is told why there is no list of the files. A directory that is not there has none. */
  readonly unlisted: (error: unknown) => void
}

const RECORD_FILE = /^([A-Za-z0-9_-]{1,120})\.json$/
/** write-file-atomic appends a hash of 32 bits, in decimal. */
const TEMPORARY_FILE = /^[A-Za-z0-9_-]{1,120}\.json\.\d{1,10}$/
/** How many files are open at a time. */
const MAX_OPEN = 16

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
  { directory, logger, unlisted }: ReadingOptions,
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
    let fault = 'it is not JSON'
    try {
      const bytes = await readFile(path)
      fault = bytes.length === 0 ? 'it is empty' : fault
      return [{ key, value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }]
    } catch (error) {
      const code = codeOf(error)
      // A syntax error's own message quotes the record.
      const isContent = error instanceof SyntaxError || code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
      const reason = isContent ? fault : reasonOf(error)
      if (code !== 'ENOENT') {
        logger.error({ directory, file, reason }, 'A message in SPOOL_DIR cannot be read')
      }
      // What the disk or the rights keep from being read now may be read by the next process.
      if (isContent || code === 'EISDIR') {
        await rename(path, `${path}.unreadable`).catch(() => {})
      }
      return []
    }
  }

  async function removeLeftOver(file: string): Promise<void> {
    const path = join(root, file)
    const stats: Stats | undefined = await stat(path).catch(() => undefined)
    if (stats?.isFile() === true && stats.mtimeMs < performance.timeOrigin) {
      await unlink(path).catch(() => {})
    }
  }

  const files = await list()
  await inBatches(
    files.filter((file) => TEMPORARY_FILE.test(file)),
    removeLeftOver,
  )
  const keys = files.flatMap((file) => RECORD_FILE.exec(file)?.[1] ?? [])
  return (await inBatches(keys.sort(), readRecord)).flat()
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
