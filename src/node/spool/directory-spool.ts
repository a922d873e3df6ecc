// Records in a directory, one file each, which outlive the process; in memory alone while the disk
// cannot be used.

import { unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { singleFlight } from '../../async/single-flight.ts'
import type { Logger } from '../../logger.ts'
import type { Spool, SpooledRecord } from '../../notification/spool.ts'
import { errorMessage } from '../../text/error-message.ts'
import { codeOf, unless } from '../error-code.ts'
import { shown } from '../settings/settings-issue.ts'
import { writeWhole } from './atomic-file.ts'
import { createDirectory, FILE_MODE, syncDirectory } from './spool-directory.ts'
import { MAX_RECORD_BYTES, readRecords } from './spool-records.ts'
import { createSpoolSlots, type SpoolSlots } from './spool-slots.ts'

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

/** Where the files of a spool are. */
export interface SpoolPlace {
  /** The directory now. Another one after another process has taken the earlier one. */
  path(): string
  /** Resolves once the directory is there; rejects where the disk does not allow that. */
  ensure(): Promise<void>
  /** Creates the directory again, or another one. */
  restore(): Promise<void>
  /** Resolves once it is known whether the directory is still this process's; never rejects. */
  confirm(): Promise<void>
  /** Reads what earlier processes left, once all that lived at the start have ended. */
  read(unlisted: (error: unknown) => void): Promise<readonly SpooledRecord[]>
  /** Tells of records that other processes leave later. */
  onLeft(listener: (records: readonly SpooledRecord[]) => void): void
  /** Tells that another process has taken all that was in the directory. */
  onLost(listener: () => void): void
}

/** A spool of this process alone. */
export interface PlacedSpool extends Required<Spool> {
  /** Resolves when nothing is being written, and nothing waits to be. */
  idle(): Promise<void>
  /** Ends all writing: what is put from now on is in memory alone. */
  close(): void
}

/** What {@link createPlacedSpool} works with. */
export interface PlacedSpoolOptions extends DirectorySpoolOptions {
  /** The directory, as the log is to name it. */
  readonly directory: string
  /** Shared by all spools of one disk. */
  readonly slots: SpoolSlots
}

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
export function createDirectorySpool(directory: string, options: DirectorySpoolOptions): Spool {
  const root = resolve(directory)
  const { logger } = options
  const place: SpoolPlace = {
    path: () => root,
    async ensure() {},
    restore: () => createDirectory(root),
    async confirm() {},
    read: (unlisted) => readRecords(root, { directory, logger, unlisted }),
    onLeft() {},
    onLost() {},
  }
  const spool = createPlacedSpool(place, { ...options, directory, slots: createSpoolSlots() })
  const { put, remove, read, isSafe } = spool
  return { put, remove, read, isSafe }
}

/**
 * Keeps records in a place that this process can lose.
 *
 * @param place Where they are.
 * @param options Who is told of trouble, and when to try again.
 * @returns The spool.
 */
export function createPlacedSpool(place: SpoolPlace, options: PlacedSpoolOptions): PlacedSpool {
  const { directory, slots, logger, onFault, retryMs = 30_000, timeoutMs = 5000 } = options
  const syncRoot = singleFlight(() => syncDirectory(place.path()))
  /** Changes that have not begun, first come first served. */
  const turns = new Map<string, Turn>()
  const busy = new Set<string>()
  /** Changes that failed, until a later change of the same file works. */
  const unsaved = new Map<string, Content>()
  /** Changes that nobody waits for any more, until they end. */
  const late = new Set<Turn>()
  const refused = new Set<string>()
  /** What the directory holds for this process. */
  const saved = new Set<string>()
  /** What it held when another process took it: that one's from then on. */
  const foreign = new Set<string>()
  const onIdle: (() => void)[] = []
  let losses = 0
  let isClosed = false
  let isFailing = false
  let lastWriteWorked = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function change(key: string, content: Content, isRetry = false): Promise<void> {
    refused.delete(key)
    if (foreign.has(key)) {
      return Promise.resolve()
    }
    if (isClosed) {
      unsaved.set(key, content)
      return Promise.resolve()
    }
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
      if (!busy.has(key)) {
        if (!slots.take()) {
          return
        }
        turns.delete(key)
        busy.add(key)
        void take(key, turn)
      }
    }
  }

  async function take(key: string, turn: Turn): Promise<void> {
    try {
      await applyHere(key, turn.content)
      late.delete(turn)
      worked(key, turn)
    } catch (error) {
      late.delete(turn)
      failed(key, { content: turn.content, error })
    }
    clearTimeout(turn.timer)
    busy.delete(key)
    turn.end()
    slots.free()
    if (turns.size === 0 && busy.size === 0) {
      for (const tell of onIdle.splice(0)) {
        tell()
      }
    }
  }

  /** The write goes on: a system call that hangs cannot be called off. */
  function timedOut(turn: Turn): void {
    late.add(turn)
    begin(new Error(`no answer within ${timeoutMs} ms`))
    turn.end()
  }

  /** Where the directory is lost meanwhile, nobody knows which directory has it: it is done again. */
  async function applyHere(key: string, content: Content): Promise<void> {
    for (let before = losses; ; before = losses) {
      try {
        await apply(key, content)
      } catch (error) {
        if (losses === before) {
          throw error
        }
      }
      if (losses === before) {
        return
      }
    }
  }

  async function apply(key: string, content: Content): Promise<void> {
    await place.ensure()
    if (foreign.has(key)) {
      return
    }
    if (content === undefined) {
      await unlink(pathOf(key)).catch(unless('ENOENT'))
      return
    }
    try {
      await writeWhole(pathOf(key), content, FILE_MODE)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        throw error
      }
      await place.restore()
      if (foreign.has(key)) {
        return
      }
      await writeWhole(pathOf(key), content, FILE_MODE)
    }
    await syncRoot()
  }

  function pathOf(key: string): string {
    return join(place.path(), `${key}.json`)
  }

  function lost(): void {
    losses += 1
    for (const key of saved) {
      foreign.add(key)
      unsaved.delete(key)
    }
    saved.clear()
  }

  function worked(key: string, { content, isRetry }: Turn): void {
    unsaved.delete(key)
    if (content === undefined) {
      saved.delete(key)
    } else if (!foreign.has(key)) {
      saved.add(key)
    }
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
        { directory, reason: errorMessage(error) },
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

  function keep(records: readonly SpooledRecord[]): readonly SpooledRecord[] {
    for (const { key } of records) {
      saved.add(key)
    }
    return records
  }

  function refuse(key: string, reason: string): Promise<void> {
    refused.add(key)
    logger.error({ directory, key: shown(key), reason }, 'A message cannot be kept in SPOOL_DIR')
    return Promise.resolve()
  }

  slots.onFree(beginTurns)
  place.onLost(lost)

  return {
    put(key, value) {
      if (!isSpoolKey(key)) {
        return refuse(key, 'its key is no key')
      }
      const content = jsonOf(value)
      if (content === undefined) {
        return refuse(key, 'JSON cannot hold it')
      }
      return Buffer.byteLength(content) > MAX_RECORD_BYTES
        ? refuse(key, `it is larger than ${MAX_RECORD_BYTES} bytes`)
        : change(key, content)
    },
    remove(key) {
      return isSpoolKey(key) ? change(key, undefined) : Promise.resolve()
    },
    isSafe(key) {
      return ![turns, busy, unsaved, refused].some((keys) => keys.has(key))
    },
    read: async () => keep(await place.read(begin)),
    onLeft: (listener) => place.onLeft((records) => listener(keep(records))),
    async owns(key) {
      await place.confirm()
      return !foreign.has(key)
    },
    idle: () =>
      new Promise((resolveIdle) => {
        if (turns.size === 0 && busy.size === 0) {
          resolveIdle()
        } else {
          onIdle.push(resolveIdle)
        }
      }),
    close() {
      isClosed = true
      clearTimeout(timer)
    },
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
