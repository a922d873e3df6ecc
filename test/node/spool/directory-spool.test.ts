import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open as openFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  createDirectorySpool,
  type DirectorySpoolOptions,
  isSpoolKey,
} from '../../../src/node/spool/directory-spool.ts'
import type { Spool } from '../../../src/notification/spool.ts'
import { builtSource } from '../../support/built-program.ts'
import { spawnOwned } from '../../support/owned-process.ts'
import { createRecordingLogger, type RecordingLogger } from '../../support/recording-fakes.ts'

const BEGAN = 'SPOOL_DIR cannot be used: messages are kept in memory alone'
const ENDED = 'SPOOL_DIR can be used again'
const NEVER_MS = 3_600_000
/** How long a condition may take on a busy machine. */
const SOON = { timeout: 60_000, interval: 10 }

let folder = ''
let logger: RecordingLogger
let errors: unknown[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deployer-spool-'))
  logger = createRecordingLogger()
  errors = []
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

// A busy machine must not pass for a disk that does not respond.
function open(directory = folder, options: Partial<DirectorySpoolOptions> = {}): Spool {
  return createDirectorySpool(directory, {
    ...{ logger, retryMs: NEVER_MS, timeoutMs: 50_000, onError: (error) => errors.push(error) },
    ...options,
  })
}

const messages = (): readonly string[] => logger.lines.map(({ message }) => message)
const modeOf = (path: string): number => statSync(path).mode & 0o777
const bytes = (size: number): string => 'x'.repeat(size)

describe('a directory of records', () => {
  test('returns the records to the next process, in the order of keys', async () => {
    const spool = open()
    await Promise.all([spool.put('b', { n: 2 }), spool.put('a-b', ['ä', null]), spool.put('a', 1)])
    await spool.put('c', 'gone')
    await spool.remove('c')
    expect(await open().read()).toEqual([
      { key: 'a', value: 1 },
      { key: 'a-b', value: ['ä', null] },
      { key: 'b', value: { n: 2 } },
    ])
    expect(logger.lines).toEqual([])
  })

  test('is created if it is missing, and only its owner can access its files', async () => {
    const directory = join(folder, 'new', 'deep')
    const spool = open(directory)
    expect(await spool.read()).toEqual([])
    await spool.put('a', 1)
    expect([join(folder, 'new'), directory].map(modeOf)).toEqual([0o700, 0o700])
    expect(modeOf(join(directory, 'a.json'))).toBe(0o600)
    expect(readdirSync(directory)).toEqual(['a.json'])
  })

  test('restricts a file to its owner even if it replaces one that was not restricted', async () => {
    writeFileSync(join(folder, 'a.json'), '0', { mode: 0o644 })
    await open().put('a', 1)
    expect(modeOf(join(folder, 'a.json'))).toBe(0o600)
  })

  test('keeps records in memory when the callback for errors throws, and logs that', async () => {
    writeFileSync(join(folder, 'file'), '')
    const spool = open(join(folder, 'file'), {
      onError() {
        throw new Error('callback')
      },
    })
    await spool.put('a', 1)
    expect(spool.isSafe('a')).toBe(false)
    expect(logger.lines).toMatchObject([
      { level: 'error', message: 'onError of the spool failed', reason: 'callback' },
      { level: 'error', message: BEGAN },
    ])
  })

  test('is created again after it was removed', async () => {
    const spool = open()
    await spool.put('a', 1)
    rmSync(folder, { recursive: true })
    await spool.put('b', 2)
    expect(await spool.read()).toEqual([{ key: 'b', value: 2 }])
    expect(logger.lines).toEqual([])
  })

  test('keeps a record as it was at the time of the put', async () => {
    const spool = open()
    const value = { n: 1 }
    const put = spool.put('a', value)
    value.n = 2
    await put
    expect(await spool.read()).toEqual([{ key: 'a', value: { n: 1 } }])
  })

  test('refuses keys that lead out of the directory, and logs them', async () => {
    const spool = open(join(folder, 'inner'))
    for (const key of ['../outside', '', 'a/b', 'a.b', bytes(121)]) {
      await spool.put(key, 1)
      await spool.remove(key)
      expect(spool.isSafe(key)).toBe(false)
    }
    expect(readdirSync(folder)).toEqual([])
    expect(logger.lines).toHaveLength(5)
  })

  test('refuses values that cannot be written as JSON, without a rejection', async () => {
    const spool = open()
    const circular: { self?: unknown } = {}
    circular.self = circular
    await spool.put('a', circular)
    await spool.put('b', undefined)
    expect(['a', 'b'].some((key) => spool.isSafe(key))).toBe(false)
    expect(logger.lines).toEqual([
      expect.objectContaining({
        level: 'error',
        key: '"a"',
        reason: 'it cannot be written as JSON',
      }),
      expect.objectContaining({
        level: 'error',
        key: '"b"',
        reason: 'it cannot be written as JSON',
      }),
    ])
    await spool.put('a', 1)
    expect(spool.isSafe('a')).toBe(true)
  })

  test('refuses a record of more than 1 MiB, which would not be read', async () => {
    const spool = open()
    await spool.put('a', bytes(1_048_574))
    await spool.put('b', bytes(1_048_575))
    expect([spool.isSafe('a'), spool.isSafe('b')]).toEqual([true, false])
    expect(readdirSync(folder)).toEqual(['a.json'])
    expect(logger.lines).toEqual([
      expect.objectContaining({ key: '"b"', reason: 'it is larger than 1048576 bytes' }),
    ])
    expect(await spool.read()).toHaveLength(1)
  })

  test('reports a record as safe once it is written', async () => {
    const spool = open()
    const put = spool.put('a', 1)
    expect(spool.isSafe('a')).toBe(false)
    await put
    expect(spool.isSafe('a')).toBe(true)
  })
})

test('a key is 1 to 120 letters, digits, _ and -', () => {
  expect(['a', 'msg_0-A', bytes(120)].every(isSpoolKey)).toBe(true)
  expect(['', '.', 'a.json', '../a', 'a\n', 'ä', bytes(121)].some(isSpoolKey)).toBe(false)
})

describe('reading', () => {
  test('ignores files that are not records', async () => {
    for (const file of ['notes.txt', 'a.json.bak', '.json', 'ä.json', '.probe', 'b.JSON']) {
      writeFileSync(join(folder, file), '1')
    }
    const before = readdirSync(folder)
    expect(await open().read()).toEqual([])
    expect(readdirSync(folder)).toEqual(before)
    expect(logger.lines).toEqual([])
  })

  test('removes temporary files of a crashed process, but not those in use', async () => {
    const [old, young] = ['a.json.0123456789abcdef', 'a.json.42']
    for (const file of [old, young]) {
      writeFileSync(join(folder, file), '{"half')
    }
    const yesterday = new Date(Date.now() - 86_400_000)
    utimesSync(join(folder, old), yesterday, yesterday)
    expect(await open().read()).toEqual([])
    expect(readdirSync(folder)).toEqual([young])
  })

  test.each([
    ['is empty', '', 'it is empty'],
    ['is half', '{"token":"hunter2","ser', 'it is not JSON'],
    ['is text', 'hunter2', 'it is not JSON'],
    ['is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'it is not JSON'],
  ])(
    'renames a record that %s, and logs that once without its content',
    async (_, content, reason) => {
      writeFileSync(join(folder, 'a.json'), content)
      writeFileSync(join(folder, 'b.json'), '2')
      expect(await open().read()).toEqual([{ key: 'b', value: 2 }])
      expect(await open().read()).toEqual([{ key: 'b', value: 2 }])
      expect(readdirSync(folder)).toEqual(['a.json.unreadable', 'b.json'])
      expect(logger.lines).toEqual([
        {
          level: 'error',
          directory: folder,
          file: 'a.json',
          reason,
          message: 'A message in SPOOL_DIR cannot be read',
        },
      ])
    },
  )

  test('renames a directory that has the name of a record', async () => {
    mkdirSync(join(folder, 'a.json'))
    expect(await open().read()).toEqual([])
    expect(readdirSync(folder)).toEqual(['a.json.unreadable'])
  })

  test.each([
    ['a FIFO', (path: string) => execFileSync('mkfifo', [path]), 'it is not a regular file'],
    ['a link', (path: string) => symlinkSync('/etc/hostname', path), 'it is not a regular file'],
    ['a device', (path: string) => symlinkSync('/dev/zero', path), 'it is not a regular file'],
    [
      'more than 1 MiB',
      (path: string) => writeFileSync(path, bytes(1_048_577)),
      'it is larger than 1048576 bytes',
    ],
  ])('renames %s that has the name of a record, and continues', async (_, make, reason) => {
    make(join(folder, 'a.json'))
    writeFileSync(join(folder, 'b.json'), '2')
    expect(await open().read()).toEqual([{ key: 'b', value: 2 }])
    expect(readdirSync(folder)).toEqual(['a.json.unreadable', 'b.json'])
    expect(logger.lines).toEqual([
      expect.objectContaining({ level: 'error', file: 'a.json', reason }),
    ])
  })

  test('does not read or rename a record of another user', async () => {
    writeFileSync(join(folder, 'a.json'), '1')
    chownSync(join(folder, 'a.json'), 1234, 1234)
    expect(await open().read()).toEqual([])
    expect(readdirSync(folder)).toEqual(['a.json'])
    expect(logger.lines).toEqual([
      expect.objectContaining({ file: 'a.json', reason: 'it belongs to user 1234' }),
    ])
  })

  test('returns no records and logs an error if the directory cannot be created', async () => {
    const path = join(folder, 'file')
    writeFileSync(path, '')
    expect(await open(path).read()).toEqual([])
    expect(messages()).toEqual([BEGAN])
  })
})

describe('the order of changes', () => {
  test('of one key is that of the calls', async () => {
    const spool = open()
    await Promise.all([spool.put('a', 1), spool.remove('a')])
    expect(await spool.read()).toEqual([])
    await Promise.all([spool.put('a', 1), spool.remove('a'), spool.put('a', 2)])
    expect(await spool.read()).toEqual([{ key: 'a', value: 2 }])
    await Promise.all(Array.from({ length: 500 }, (_, n) => spool.put('a', n)))
    expect(await spool.read()).toEqual([{ key: 'a', value: 499 }])
  })

  test('resolves a put after its own value or a later one is written', async () => {
    const spool = open()
    const onDisk: unknown[] = []
    await Promise.all(
      [1, 2, 3].map(async (n) => {
        await spool.put('a', n)
        onDisk.push(JSON.parse(readFileSync(join(folder, 'a.json'), 'utf8')))
      }),
    )
    expect(onDisk[0]).toBeGreaterThanOrEqual(1)
    expect(onDisk.slice(1)).toEqual([3, 3])
  })

  test('gives the same result as a Map for any sequence of calls', async () => {
    const keys = fc.constantFrom('a', 'b', 'c-1')
    const step = fc.record({
      key: keys,
      value: fc.option(fc.jsonValue({ maxDepth: 1 }), { nil: undefined }),
      isAwaited: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const directory = mkdtempSync(join(folder, 'run-'))
        const spool = open(directory)
        const model = new Map<string, unknown>()
        const calls: Promise<void>[] = []
        for (const { key, value, isAwaited } of steps) {
          const isPut = value !== undefined
          isPut ? model.set(key, JSON.parse(JSON.stringify(value))) : model.delete(key)
          const call = isPut ? spool.put(key, value) : spool.remove(key)
          calls.push(call)
          if (isAwaited) {
            await call
          }
        }
        await Promise.all(calls)
        expect(new Map((await spool.read()).map(({ key, value }) => [key, value]))).toEqual(model)
        expect(readdirSync(directory)).toHaveLength(model.size)
      }),
      { numRuns: 60 },
    )
    expect(logger.lines).toEqual([])
  })

  test('has at most 16 open files for hundreds of puts', async () => {
    const spool = open()
    let most = 0
    const watch = setInterval(() => {
      const temporary = readdirSync(folder).filter((file) => /\.json\.[0-9a-f]+$/.test(file))
      most = Math.max(most, temporary.length)
    }, 1)
    await Promise.all(Array.from({ length: 400 }, (_, n) => spool.put(`k${n}`, n)))
    clearInterval(watch)
    expect(most).toBeLessThanOrEqual(16)
    expect(await spool.read()).toHaveLength(400)
  })
})

describe('a process that is killed while it writes', () => {
  const source = fileURLToPath(
    new URL('../../../src/node/spool/directory-spool.ts', import.meta.url),
  )
  // Each of its loops puts its own keys, and sometimes puts one again. The record contains its size.
  const program = `
    import { createDirectorySpool } from ${JSON.stringify(source)}
    const quiet = () => {}
    const logger = { info: quiet, warn: quiet, error: (fields) => process.stderr.write(JSON.stringify(fields)) }
    const spool = createDirectorySpool(process.argv[2], { logger })
    async function loop(name) {
      for (let n = 0; ; n += 1) {
        const size = (n * 7919) % 20000
        await spool.put(name + '-' + (n % 50), { n, size, text: 'x'.repeat(size) })
        process.stdout.write(name + '-' + (n % 50) + ' ' + n + '\\n')
      }
    }
    for (let at = 0; at < 8; at += 1) void loop('k' + at)
  `

  test.each([1, 2, 3, 4, 5])(
    'leaves every record whole whose put has resolved (%i)',
    async (round) => {
      const child = spawnOwned(process.execPath, [builtSource(program), folder], {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let resolved = ''
      let stderr = ''
      child.stdout?.on('data', (data) => {
        resolved += data
      })
      child.stderr?.on('data', (data) => {
        stderr += data
      })
      await vi.waitFor(() => expect(resolved.length).toBeGreaterThan(200 * round), SOON)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 50))
      child.kill('SIGKILL')
      await once(child, 'close')
      expect(stderr).toBe('')

      // What it left must look older than this process to be removed.
      const anHourAgo = new Date(Date.now() - 3_600_000)
      for (const file of readdirSync(folder)) {
        utimesSync(join(folder, file), anHourAgo, anHourAgo)
      }
      const records = new Map((await open().read()).map(({ key, value }) => [key, value]))
      const lines = resolved.split('\n').slice(0, -1)
      for (const [key = '', n = ''] of lines.map((line) => line.split(' '))) {
        const record = records.get(key) as { n: number; size: number; text: string }
        expect(record.n).toBeGreaterThanOrEqual(Number(n))
      }
      for (const value of records.values()) {
        const { size, text } = value as { size: number; text: string }
        expect(text).toHaveLength(size)
      }
      expect(logger.lines).toEqual([])
      expect(readdirSync(folder)).toHaveLength(records.size)
    },
  )
})

describe('a disk that fails', () => {
  let disk = ''

  const mount = (...args: readonly string[]): unknown => execFileSync('mount', args)

  beforeEach(() => {
    disk = join(folder, 'disk')
    mkdirSync(disk)
    mount('-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'tmpfs', disk)
  })

  afterEach(() => {
    execFileSync('umount', [disk])
  })

  const fill = (): void => {
    try {
      writeFileSync(join(disk, 'filler'), bytes(100_000))
    } catch {
      // It is full now.
    }
  }
  const free = (): void => rmSync(join(disk, 'filler'))

  test('that is full: records are kept in memory and written with the next put', async () => {
    const spool = open(disk)
    await spool.put('kept', 1)
    fill()
    for (const n of [1, 2, 3]) {
      await spool.put('a', { n })
    }
    await Promise.all([spool.put('b', 1), spool.put('c', 1)])
    await spool.remove('c')
    expect(messages()).toEqual([BEGAN])
    expect(logger.lines[0]).toMatchObject({ level: 'error', directory: disk })
    expect(logger.lines[0]?.reason).toMatch(/^ENOSPC/)
    expect(errors.length).toBeGreaterThanOrEqual(3)
    expect(['a', 'b', 'kept'].map((key) => spool.isSafe(key))).toEqual([false, false, true])
    expect(await open(disk).read()).toEqual([{ key: 'kept', value: 1 }])

    free()
    await spool.put('d', 1)
    await vi.waitFor(() => expect(messages()).toEqual([BEGAN, ENDED]), SOON)
    expect(await open(disk).read()).toEqual([
      { key: 'a', value: { n: 3 } },
      { key: 'b', value: 1 },
      { key: 'd', value: 1 },
      { key: 'kept', value: 1 },
    ])
    expect(spool.isSafe('a')).toBe(true)
    fill()
    await spool.put('e', 1)
    expect(messages()).toEqual([BEGAN, ENDED, BEGAN])
  })

  test('that works again: records in memory are written without another put', async () => {
    const spool = open(disk, { retryMs: 20 })
    fill()
    await spool.put('a', 1)
    await vi.waitFor(() => expect(errors.length).toBeGreaterThan(3), SOON)
    expect(messages()).toEqual([BEGAN])
    free()
    await vi.waitFor(() => expect(messages()).toEqual([BEGAN, ENDED]), SOON)
    expect(await open(disk).read()).toEqual([{ key: 'a', value: 1 }])
  })

  test('that was full: records that were removed meanwhile are not written', async () => {
    const spool = open(disk, { retryMs: 20 })
    fill()
    await Promise.all([spool.put('a', 1), spool.put('b', 1)])
    await spool.remove('a')
    free()
    await vi.waitFor(() => expect(messages()).toEqual([BEGAN, ENDED]), SOON)
    expect(await open(disk).read()).toEqual([{ key: 'b', value: 1 }])
  })

  test('with space for half of a record: the old record is kept', async () => {
    const spool = open(disk)
    await spool.put('a', 'old')
    await spool.put('a', bytes(100_000))
    expect(messages()).toEqual([BEGAN])
    expect(spool.isSafe('a')).toBe(false)
    expect(readdirSync(disk)).toEqual(['a.json'])
    expect(await open(disk).read()).toEqual([{ key: 'a', value: 'old' }])
  })

  test('with space for other records: the one that does not fit is logged once', async () => {
    const spool = open(disk)
    await spool.put('large', bytes(100_000))
    for (const [tries, key] of ['a', 'b', 'c'].entries()) {
      await spool.put(key, 1)
      expect(spool.isSafe(key)).toBe(true)
      // The large one is tried again with each, and fills the disk for that while.
      await vi.waitFor(() => expect(errors).toHaveLength(tries + 2), SOON)
    }
    expect(messages()).toEqual([BEGAN])
    await spool.remove('large')
    await spool.put('d', 1)
    expect(messages()).toEqual([BEGAN, ENDED])
  })

  test('that is read-only: puts and removals are made later', async () => {
    const spool = open(disk, { retryMs: 20 })
    await spool.put('old', 1)
    mount('-o', 'remount,ro', disk)
    await Promise.all([spool.put('new', 1), spool.remove('old')])
    expect(messages()).toEqual([BEGAN])
    expect(logger.lines[0]?.reason).toMatch(/^EROFS/)
    expect(await open(disk).read()).toEqual([{ key: 'old', value: 1 }])
    mount('-o', 'remount,rw', disk)
    await vi.waitFor(() => expect(messages()).toEqual([BEGAN, ENDED]), SOON)
    expect(await open(disk).read()).toEqual([{ key: 'new', value: 1 }])
  })

  test('that is read-only: an invalid record is not renamed', async () => {
    writeFileSync(join(disk, 'a.json'), '{')
    writeFileSync(join(disk, 'b.json'), '2')
    mount('-o', 'remount,ro', disk)
    expect(await open(disk).read()).toEqual([{ key: 'b', value: 2 }])
    expect(messages()).toEqual(['A message in SPOOL_DIR cannot be read'])
  })
})

describe('a disk that does not respond', () => {
  // As on a dead network file system, no call gets an answer: every thread that Node has for files
  // opens a FIFO without a writer.
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  let fifo = ''
  let stuck: Promise<FileHandle>[] = []

  beforeEach(() => {
    fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    stuck = Array.from({ length: threads }, () => openFile(fifo, 'r'))
  })

  async function answer(): Promise<void> {
    const writer = openSync(fifo, 'r+')
    await Promise.all(stuck.splice(0).map(async (opening) => (await opening).close()))
    closeSync(writer)
  }

  afterEach(async () => {
    vi.useRealTimers()
    await answer()
  })

  test('does not delay callers, and has all records once it responds', async () => {
    const directory = join(folder, 'spool')
    let filesAtEnd: readonly string[] = []
    const info = (fields: Readonly<Record<string, unknown>>, message: string): void => {
      filesAtEnd = readdirSync(directory)
      logger.info(fields, message)
    }
    const spool = open(directory, { timeoutMs: 30, logger: { ...logger, info } })
    const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
    await Promise.all(keys.map((key) => spool.put(key, 1)))
    await Promise.all([spool.put('k0', 2), spool.put('k39', 2), spool.remove('k1')])
    expect(logger.lines).toEqual([
      { level: 'error', directory, reason: 'no answer within 30 ms', message: BEGAN },
    ])
    expect(errors.length).toBeGreaterThanOrEqual(keys.length)
    expect(keys.some((key) => spool.isSafe(key))).toBe(false)
    expect(existsSync(directory)).toBe(false)

    await answer()
    await vi.waitFor(() => expect(messages()).toEqual([BEGAN, ENDED]), SOON)
    expect(filesAtEnd).toHaveLength(39)
    expect(keys.every((key) => spool.isSafe(key))).toBe(true)
    const records = new Map((await open(directory).read()).map(({ key, value }) => [key, value]))
    expect(records.size).toBe(39)
    expect(['k0', 'k1', 'k2', 'k39'].map((key) => records.get(key))).toEqual([2, undefined, 1, 2])
    await spool.put('k0', 3)
    // Real files may need more than 30 ms again on a busy machine.
    expect(messages().slice(0, 2)).toEqual([BEGAN, ENDED])
  })

  test('is waited for at most 5 s, by a timer that lets the process end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const spool = createDirectorySpool(folder, { logger, retryMs: NEVER_MS })
    let isDone = false
    const put = spool.put('a', 1).then(() => {
      isDone = true
    })
    await vi.advanceTimersByTimeAsync(4999)
    expect(isDone).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await put
    expect(logger.lines[0]?.reason).toBe('no answer within 5000 ms')

    vi.useRealTimers()
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
    const before = timers()
    const other = open(folder, { timeoutMs: 20 })
    const late = other.put('b', 1)
    expect(timers()).toBe(before)
    await late

    await answer()
    await vi.waitFor(() => expect(spool.isSafe('a') && other.isSafe('b')).toBe(true), SOON)
  })

  test('and then fails: records are kept in memory until it works', async () => {
    const directory = join(folder, 'spool')
    writeFileSync(directory, '')
    const spool = open(directory, { timeoutMs: 20, retryMs: 20 })
    await spool.put('a', 1)
    await answer()
    await vi.waitFor(() => expect(String(errors.at(-1))).toMatch(/ENOTDIR|EEXIST/), SOON)
    expect(messages()).toEqual([BEGAN])
    expect(spool.isSafe('a')).toBe(false)
    rmSync(directory)
    await vi.waitFor(() => expect(messages()).toEqual([BEGAN, ENDED]), SOON)
    expect(await open(directory).read()).toEqual([{ key: 'a', value: 1 }])
  })
})

test('records are kept in memory while a file has the name of the directory', async () => {
  const directory = join(folder, 'spool')
  const spool = open(directory, { retryMs: 20 })
  await spool.put('a', 1)
  renameSync(directory, join(folder, 'elsewhere'))
  writeFileSync(directory, '')
  await Promise.all([spool.put('a', 2), spool.put('b', 2), spool.remove('c')])
  expect(messages()).toEqual([BEGAN])
  rmSync(directory)
  await vi.waitFor(() => expect(messages()).toEqual([BEGAN, ENDED]), SOON)
  expect(await open(directory).read()).toEqual([
    { key: 'a', value: 2 },
    { key: 'b', value: 2 },
  ])
})

test('an unknown option throws when the spool is created', () => {
  const options = { logger, retryMS: 1 }
  expect(() => createDirectorySpool(folder, options)).toThrow(
    new TypeError(
      'Cannot use the option `retryMS`: there is no such option; the closest one is `retryMs`',
    ),
  )
})
