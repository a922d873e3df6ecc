// A spool that keeps each record in a file of a directory, and in memory while the disk cannot be used.

import { unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { singleFlight } from '../../async/single-flight.ts'
import type { Logger } from '../../logger.ts'
import type { Spool, SpooledRecord } from '../../notification/spool.ts'
import { errorMessage } from '../../text/error-message.ts'
import { checkOptionNames } from '../../text/option-names.ts'
import { errorCode, ignoreErrors } from '../error-code.ts'
import { shown } from '../settings/settings-issue.ts'
import { writeAtomically } from './atomic-file.ts'
import { createDirectory, FILE_MODE, syncDirectory } from './spool-directory.ts'
import { MAX_RECORD_BYTES, readRecords } from './spool-records.ts'
import { createSpoolSlots, type SpoolSlots } from './spool-slots.ts'

/** Options of {@link createDirectorySpool}. */
export interface DirectorySpoolOptions {
  /** Logs when the directory fails, when it works again, and which records cannot be read. */
  readonly logger: Logger
  /** Called for every write that fails or times out, including retries, for example to count them. */
  readonly onError?: (error: unknown) => void
  /** The time until a failed write is retried, in milliseconds. Default: 30 s. */
  readonly retryMs?: number
  /**
   * How long a put or a removal waits for the disk, in milliseconds. The write continues after that time.
   * Default: 5 s.
   */
  readonly timeoutMs?: number
}

const OPTIONS: Readonly<Record<keyof DirectorySpoolOptions, true>> = {
  logger: true,
  onError: true,
  retryMs: true,
  timeoutMs: true,
}

/** The intended content of a file; undefined: the file is removed. */
type Content = string | undefined

/** A change of one file. Until it starts, later changes of the same file replace its content. */
interface Change {
  content: Content
  /** Whether it is only a retry of a failed change. */
  isRetry: boolean
  /** Ends the wait of the callers. */
  timer?: ReturnType<typeof setTimeout>
  readonly ended: Promise<void>
  readonly end: () => void
}

const KEY = /^[A-Za-z0-9_-]{1,120}$/

/** The location of the files of a spool. */
export interface SpoolLocation {
  /** Returns the current directory. It changes after another process has taken over the earlier one. */
  path(): string
  /** Creates the directory if it is missing; rejects if the disk does not allow that. */
  ensure(): Promise<void>
  /** Creates the directory again, or another one. */
  restore(): Promise<void>
  /** Resolves once it is known whether the directory still belongs to this process; never rejects. */
  confirm(): Promise<void>
  /** Reads the records of earlier processes, after all processes that ran at startup have ended. */
  read(onListError: (error: unknown) => void): Promise<readonly SpooledRecord[]>
  /** Adds a listener for records that other processes leave later. */
  onLeft(listener: (records: readonly SpooledRecord[]) => void): void
  /** Adds a listener that is called when another process has taken over the directory. */
  onLost(listener: () => void): void
}

/** A spool whose directory can be taken over by another process. */
export interface LocatedSpool extends Required<Spool> {
  /** Resolves when no change is in progress or pending. */
  idle(): Promise<void>
  /** Stops all writing. Later records are kept only in memory. */
  close(): void
}

/** Options of {@link createLocatedSpool}. */
export interface LocatedSpoolOptions extends DirectorySpoolOptions {
  /** The name of the directory in the log. */
  readonly directory: string
  /** Shared by all spools of one disk. */
  readonly slots: SpoolSlots
}

/**
 * Checks whether a text can be the key of a record.
 *
 * @param text The text.
 * @returns Whether it is 1 to 120 letters, digits, `_` and `-`.
 */
export function isSpoolKey(text: string): boolean {
  return KEY.test(text)
}

/**
 * Creates a spool that keeps each record in a file `<key>.json`, which is written atomically. The directory
 * is created if it is missing. While the disk is full, read-only, missing, broken or not responding,
 * records are kept in memory, and are written once it works again.
 *
 * @param directory The directory. Only one process may use it.
 * @param options How errors are reported, and times.
 * @returns The spool.
 * @throws TypeError for an unknown option.
 * @example
 * ```ts
 * const spool = createDirectorySpool('/var/lib/deployer', { logger: pino() })
 * await spool.put('msg_1', { service: 'blog' })
 * ```
 */
export function createDirectorySpool(directory: string, options: DirectorySpoolOptions): Spool {
  checkOptionNames(options, Object.keys(OPTIONS))
  const root = resolve(directory)
  const { logger } = options
  const location: SpoolLocation = {
    path: () => root,
    async ensure() {},
    restore: () => createDirectory(root),
    async confirm() {},
    read: (onListError) => readRecords(root, { directory, logger, onListError }),
    onLeft() {},
    onLost() {},
  }
  const spool = createLocatedSpool(location, { ...options, directory, slots: createSpoolSlots() })
  const { put, remove, read, isSafe } = spool
  return { put, remove, read, isSafe }
}

/**
 * Creates a spool in a location that another process can take over.
 *
 * @param location The location of the files.
 * @param options How errors are reported, and times.
 * @returns The spool.
 */
export function createLocatedSpool(
  location: SpoolLocation,
  options: LocatedSpoolOptions,
): LocatedSpool {
  const { directory, slots, logger, onError, retryMs = 30_000, timeoutMs = 5000 } = options
  const syncRoot = singleFlight(() => syncDirectory(location.path()))
  /** Changes that have not started, in their order. */
  const pending = new Map<string, Change>()
  const inProgress = new Set<string>()
  /** Changes that failed, until a later change of the same file succeeds. */
  const unsaved = new Map<string, Content>()
  /** Changes that have timed out, until they end. */
  const late = new Set<Change>()
  const refused = new Set<string>()
  /** The keys of the records of this process in the directory. */
  const saved = new Set<string>()
  /** The keys of the records that another process has taken over, which now belong to that process. */
  const foreign = new Set<string>()
  const onIdle: (() => void)[] = []
  let losses = 0
  let isClosed = false
  let isFailing = false
  let lastWriteSucceeded = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function request(key: string, content: Content, isRetry = false): Promise<void> {
    refused.delete(key)
    if (foreign.has(key)) {
      return Promise.resolve()
    }
    if (isClosed) {
      unsaved.set(key, content)
      return Promise.resolve()
    }
    const earlier = pending.get(key)
    if (earlier !== undefined) {
      earlier.content = content
      earlier.isRetry &&= isRetry
      return earlier.ended
    }
    const change = createChange(content, isRetry)
    pending.set(key, change)
    change.timer = setTimeout(() => timedOut(change), timeoutMs).unref()
    startChanges()
    return change.ended
  }

  function startChanges(): void {
    for (const [key, change] of pending) {
      if (!inProgress.has(key)) {
        if (!slots.take()) {
          return
        }
        pending.delete(key)
        inProgress.add(key)
        void make(key, change)
      }
    }
  }

  async function make(key: string, change: Change): Promise<void> {
    try {
      await applyInCurrentDirectory(key, change.content)
      late.delete(change)
      succeeded(key, change)
    } catch (error) {
      late.delete(change)
      failed(key, { content: change.content, error })
    }
    clearTimeout(change.timer)
    inProgress.delete(key)
    change.end()
    slots.free()
    if (pending.size === 0 && inProgress.size === 0) {
      for (const listener of onIdle.splice(0)) {
        listener()
      }
    }
  }

  /** The write continues, because a system call cannot be cancelled. */
  function timedOut(change: Change): void {
    late.add(change)
    reportError(new Error(`no answer within ${timeoutMs} ms`))
    change.end()
  }

  /** Repeats the change if the directory was lost meanwhile, because it may be in the lost directory. */
  async function applyInCurrentDirectory(key: string, content: Content): Promise<void> {
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
    await location.ensure()
    if (foreign.has(key)) {
      return
    }
    if (content === undefined) {
      await unlink(pathOf(key)).catch(ignoreErrors('ENOENT'))
      return
    }
    try {
      await writeAtomically(pathOf(key), content, FILE_MODE)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        throw error
      }
      await location.restore()
      if (foreign.has(key)) {
        return
      }
      await writeAtomically(pathOf(key), content, FILE_MODE)
    }
    await syncRoot()
  }

  function pathOf(key: string): string {
    return join(location.path(), `${key}.json`)
  }

  function lost(): void {
    losses += 1
    for (const key of saved) {
      foreign.add(key)
      unsaved.delete(key)
    }
    saved.clear()
  }

  function succeeded(key: string, { content, isRetry }: Change): void {
    unsaved.delete(key)
    if (content === undefined) {
      saved.delete(key)
    } else if (!foreign.has(key)) {
      saved.add(key)
    }
    // A file can be removed from a full disk too, so a removal does not prove that files can be written.
    lastWriteSucceeded ||= content !== undefined
    if (!isFailing || !lastWriteSucceeded) {
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
    lastWriteSucceeded = false
    reportError(error)
    timer ??= setTimeout(retry, retryMs).unref()
  }

  function reportError(error: unknown): void {
    callOnError(error)
    if (!isFailing) {
      isFailing = true
      logger.error(
        { directory, reason: errorMessage(error) },
        'SPOOL_DIR cannot be used: messages are kept in memory alone',
      )
    }
  }

  function callOnError(error: unknown): void {
    try {
      onError?.(error)
    } catch (thrown) {
      logger.error({ reason: errorMessage(thrown) }, 'onError of the spool failed')
    }
  }

  function retry(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [key, content] of unsaved) {
      // A change that is in progress or pending is newer, or already a retry.
      if (!inProgress.has(key) && !pending.has(key)) {
        void request(key, content, true)
      }
    }
  }

  function markSaved(records: readonly SpooledRecord[]): readonly SpooledRecord[] {
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

  slots.onFree(startChanges)
  location.onLost(lost)

  return {
    put(key, value) {
      if (!isSpoolKey(key)) {
        return refuse(key, 'the key is invalid')
      }
      const content = jsonOf(value)
      if (content === undefined) {
        return refuse(key, 'it cannot be written as JSON')
      }
      return Buffer.byteLength(content) > MAX_RECORD_BYTES
        ? refuse(key, `it is larger than ${MAX_RECORD_BYTES} bytes`)
        : request(key, content)
    },
    remove(key) {
      return isSpoolKey(key) ? request(key, undefined) : Promise.resolve()
    },
    isSafe(key) {
      return ![pending, inProgress, unsaved, refused].some((keys) => keys.has(key))
    },
    read: async () => markSaved(await location.read(reportError)),
    onLeft: (listener) => location.onLeft((records) => listener(markSaved(records))),
    async owns(key) {
      await location.confirm()
      return !foreign.has(key)
    },
    idle: () =>
      new Promise((resolveIdle) => {
        if (pending.size === 0 && inProgress.size === 0) {
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

function createChange(content: Content, isRetry: boolean): Change {
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
