// Records in a directory, one file each, which outlive the process; in memory alone while the disk
// cannot be used.

import { unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { coalesce } from '../coalesce.ts'
import type { Logger, Spool } from '../ports.ts'
import { reasonOf } from '../reason.ts'
import { writeWhole } from './atomic-file.ts'
import { codeOf, unless } from './error-code.ts'
import { shown } from './faults.ts'
import { createDirectory, FILE_MODE, syncDirectory } from './spool-directory.ts'
import { readRecords } from './spool-records.ts'

/** What {@link createDirectorySpool} needs beside the directory. */
export interface DirectorySpoolOptions {
  /** Is told when the directory begins to fail, when it works again, and of unreadable records. */
  readonly logger: Logger
  /** Is told of every write that failed or got no answer, retries too, say to count them. */
  readonly onFault?: (error: unknown) => void
  /** When to write again what could not be written, in milliseconds. Default: 30 s. */
  readonly retryMs?: number
  /**
   * The longest that a put or a removal waits for the disk, in milliseconds; the write goes on.
   * Default: 5 s.
   */
  readonly timeoutMs?: number
}

/** What a file is to hold; undefined where there is to be no file. */
type Content = string | undefined

/** A change of one file that has not begun. Later changes of the same file take its place. */
interface Turn {
  content: Content
  /** Whether nobody asked for it but a retry. */
  isRetry: boolean
  /** When its callers wait no longer. */
  timer?: ReturnType<typeof setTimeout>
  readonly ended: Promise<void>
  readonly end: () => void
}

const KEY = /^[A-Za-z0-9_-]{1,120}$/

/** How many files are written at a time: a disk that hangs must not take all four of libuv's threads. */
const MAX_OPEN = 2

/**
 * Tells whether a text can be the key of a record.
 *
 * @param text The text.
 * @returns Whether it is 1 to 120 letters, digits, `_` and `-`.
 */
export function isSpoolKey(text: string): boolean {
  return KEY.test(text)
}

/**
 * Keeps records in a directory, each in a file `<key>.json` that is either whole or not there. The
 * directory is created where it is missing. While the disk is full, read-only, gone, broken or does
 * not answer, records are kept in memory, and are written once it works again.
 *
 * @param directory The directory; one process's alone.
 * @param options Who is told of trouble, and when to try again.
 * @returns The spool.
 * @example
 * ```ts
 * const spool = createDirectorySpool('/var/lib/deployer', { logger: pino() })
 * await spool.put('msg_1', { service: 'blog' })
 * ```
 */
export function createDirectorySpool(
  directory: string,
  { logger, onFault, retryMs = 30_000, timeoutMs = 5000 }: DirectorySpoolOptions,
): Spool {
  const root = resolve(directory)
  const syncRoot = coalesce(() => syncDirectory(root))
  /** Changes that have not begun, first come first served. */
  const turns = new Map<string, Turn>()
  const busy = new Set<string>()
  /** Changes that failed, until a later change of the same file works. */
  const unsaved = new Map<string, Content>()
  /** Changes that nobody waits for any more, until they end. */
  const late = new Set<Turn>()
  const refused = new Set<string>()
  let isFailing = false
  let lastWriteWorked = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function change(key: string, content: Content, isRetry = false): Promise<void> {
    refused.delete(key)
    const waiting = turns.get(key)
    if (waiting !== undefined) {
      waiting.content = content
      waiting.isRetry &&= isRetry
      return waiting.ended
    }
    const turn = createTurn(content, isRetry)
    turns.set(key, turn)
    turn.timer = setTimeout(() => timedOut(turn), timeoutMs).unref()
    beginTurns()
    return turn.ended
  }

  function beginTurns(): void {
    for (const [key, turn] of turns) {
      if (busy.size >= MAX_OPEN) {
        return
      }
      if (!busy.has(key)) {
        turns.delete(key)
        busy.add(key)
        void take(key, turn)
      }
    }
  }

  async function take(key: string, turn: Turn): Promise<void> {
    try {
      await apply(key, turn.content)
      late.delete(turn)
      worked(key, turn)
    } catch (error) {
      late.delete(turn)
      failed(key, { content: turn.content, error })
    }
    clearTimeout(turn.timer)
    busy.delete(key)
    turn.end()
    beginTurns()
  }

  /** The write goes on: a system call that hangs cannot be called off. */
  function timedOut(turn: Turn): void {
    late.add(turn)
    begin(new Error(`no answer within ${timeoutMs} ms`))
    turn.end()
  }

  async function apply(key: string, content: Content): Promise<void> {
    const path = join(root, `${key}.json`)
    if (content === undefined) {
      await unlink(path).catch(unless('ENOENT'))
      return
    }
    try {
      await writeWhole(path, content, FILE_MODE)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        throw error
      }
      await createDirectory(root)
      await writeWhole(path, content, FILE_MODE)
    }
    await syncRoot()
  }

  function worked(key: string, { content, isRetry }: Turn): void {
    unsaved.delete(key)
    // That a file could be removed does not show that one can be written: the disk may be full.
    lastWriteWorked ||= content !== undefined
    if (!isFailing || !lastWriteWorked) {
      return
    }
    if (unsaved.size === 0 && late.size === 0) {
      isFailing = false
      logger.info({ directory }, 'SPOOL_DIR can be used again')
    } else if (!isRetry) {
      retry()
    }
  }

  function failed(key: string, { content, error }: { content: Content; error: unknown }): void {
    unsaved.set(key, content)
    lastWriteWorked = false
    begin(error)
    timer ??= setTimeout(retry, retryMs).unref()
  }

  function begin(error: unknown): void {
    onFault?.(error)
    if (!isFailing) {
      isFailing = true
      logger.error(
        { directory, reason: reasonOf(error) },
        'SPOOL_DIR cannot be used: messages are kept in memory alone',
      )
    }
  }

  function retry(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [key, content] of unsaved) {
      // What is under way or waits is newer, or a retry already.
      if (!busy.has(key) && !turns.has(key)) {
        void change(key, content, true)
      }
    }
  }

  function refuse(key: string, reason: string): Promise<void> {
    refused.add(key)
    logger.error({ directory, key: shown(key), reason }, 'A message cannot be kept in SPOOL_DIR')
    return Promise.resolve()
  }

  return {
    put(key, value) {
      const content = isSpoolKey(key) ? jsonOf(value) : undefined
      return content === undefined
        ? refuse(key, isSpoolKey(key) ? 'JSON cannot hold it' : 'its key is no key')
        : change(key, content)
    },
    remove(key) {
      return isSpoolKey(key) ? change(key, undefined) : Promise.resolve()
    },
    isSafe(key) {
      return ![turns, busy, unsaved, refused].some((keys) => keys.has(key))
    },
    read: () => readRecords(root, { directory, logger, unlisted: begin }),
  }
}

function createTurn(content: Content, isRetry: boolean): Turn {
  let end: () => void = () => {}
  const ended = new Promise<void>((resolveEnded) => {
    end = resolveEnded
  })
  return { content, isRetry, ended, end }
}

function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
