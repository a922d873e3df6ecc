// Records in a directory, one file each, which outlive the process; in memory alone while the disk
// cannot be used.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs'
import { mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import type { Logger, Spool, SpooledRecord } from '../ports.ts'
import { shown } from './faults.ts'
import { reasonOf } from './reason.ts'

/** What {@link createDirectorySpool} needs beside the directory. */
export interface DirectorySpoolOptions {
  /** Is told when the directory begins to fail, when it works again, and of unreadable records. */
  readonly logger: Logger
  /** Is told of every write that failed, retries too, say to count them. */
  readonly onFault?: (error: unknown) => void
  /** When to write again what could not be written, in milliseconds. Default: 30 s. */
  readonly retryMs?: number
}

/** What a file is to hold; undefined where there is to be no file. */
type Content = string | undefined

/** A change of one file that has not begun. Later changes of the same file take its place. */
interface Turn {
  content: Content
  /** Whether nobody asked for it but a retry. */
  isRetry: boolean
  readonly ended: Promise<void>
  readonly end: () => void
}

const KEY = /^[A-Za-z0-9_-]{1,120}$/
const RECORD_FILE = /^([A-Za-z0-9_-]{1,120})\.json$/
/** write-file-atomic appends a hash of 32 bits, in decimal. */
const TEMPORARY_FILE = /^[A-Za-z0-9_-]{1,120}\.json\.\d{1,10}$/
const PROBE_FILE = '.probe'
const PROBE_BYTES = 16_384

/** Records hold what callers sent: they are the owner's alone. */
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

/** How many files are open at a time. */
const MAX_OPEN = 16

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
 * Keeps records in a directory, each in a file `<key>.json` that is either whole or not there. The
 * directory is created where it is missing. While the disk is full, read-only, gone or broken,
 * records are kept in memory, and are written once it works again.
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
  { logger, onFault, retryMs = 30_000 }: DirectorySpoolOptions,
): Spool {
  const root = resolve(directory)
  const syncRoot = coalesce(() => syncDirectory(root))
  /** Changes that have not begun, first come first served. */
  const turns = new Map<string, Turn>()
  const busy = new Set<string>()
  /** Changes that failed, until a later change of the same file works. */
  const unsaved = new Map<string, Content>()
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
      worked(key, turn)
    } catch (error) {
      failed(key, { content: turn.content, error })
    }
    busy.delete(key)
    turn.end()
    beginTurns()
  }

  async function apply(key: string, content: Content): Promise<void> {
    const path = join(root, `${key}.json`)
    if (content === undefined) {
      await unlink(path).catch(unless('ENOENT'))
      return
    }
    try {
      await writeWhole(path, content)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        throw error
      }
      await createDirectory(root)
      await writeWhole(path, content)
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
    if (unsaved.size === 0) {
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

  async function list(): Promise<readonly string[]> {
    try {
      return await readdir(root)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        begin(error)
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
    async read() {
      const files = await list()
      await inBatches(
        files.filter((file) => TEMPORARY_FILE.test(file)),
        removeLeftOver,
      )
      const keys = files.flatMap((file) => RECORD_FILE.exec(file)?.[1] ?? [])
      return (await inBatches(keys.sort(), readRecord)).flat()
    },
  }
}

/**
 * Lets many callers share what one of them would do alone.
 *
 * @param act What is to be done; it is never done twice at a time.
 * @returns A function whose promise tells of an act that began after the call.
 */
export function coalesce(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  async function runAfter(earlier: Promise<void> | undefined): Promise<void> {
    await earlier?.catch(() => {})
    running = next
    next = undefined
    await act()
  }

  return () => {
    next ??= runAfter(running)
    return next
  }
}

/** write-file-atomic, but for its one call of write(2), which stops short when the disk gets full. */
async function writeWhole(path: string, content: string): Promise<void> {
  await writeFileAtomic(path, '', {
    mode: FILE_MODE,
    // It is awaited, and what it wrote is synced and renamed.
    tmpfileCreated: (temporary) => fill(temporary, content),
  })
}

async function fill(path: string, content: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.writeFile(content)
  } finally {
    await handle.close()
  }
}

async function createDirectory(path: string): Promise<void> {
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

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync().catch(unlessUnsupported)
  } finally {
    await handle.close()
  }
}

function createTurn(content: Content, isRetry: boolean): Turn {
  let end: () => void = () => {}
  const ended = new Promise<void>((resolveEnded) => {
    end = resolveEnded
  })
  return { content, isRetry, ended, end }
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

function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

function unless(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes(codeOf(error) ?? '')) {
      throw error
    }
  }
}

/** Some network file systems cannot sync a directory, and need not. */
const unlessUnsupported = unless('EINVAL', 'ENOTSUP')

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
