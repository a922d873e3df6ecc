// Processes that share one SPOOL_DIR: they are killed, stopped and continued.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLeaseWatch } from '../../../src/node/spool/spool-orphans.ts'
import { createSpoolStore, type SpoolStoreOptions } from '../../../src/node/spool/spool-store.ts'
import type { SpooledRecord } from '../../../src/notification/spool.ts'
import { createRecordingLogger, type RecordingLogger } from '../../support/recording-fakes.ts'
import { killAll, startSpoolProcess } from '../../support/spool-process.ts'

type Name = 'messages' | 'deployments'
type Store = ReturnType<typeof createSpoolStore<Name>>

const STALE_MS = 10_000
/** How long a condition may take on a busy machine. */
const SOON = { timeout: 60_000, interval: 10 }

let folder = ''
let directory = ''
let logger: RecordingLogger
let stores: Store[] = []
/** The clock of the stores in this process; only tests advance it. */
let nowMs = 0

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deployer-store-'))
  directory = join(folder, 'spool')
  logger = createRecordingLogger()
  stores = []
  nowMs = 0
})

afterEach(async () => {
  killAll()
  for (const store of stores) {
    await store.close(60_000)
  }
  rmSync(folder, { recursive: true, force: true })
})

function open(options: Partial<SpoolStoreOptions<Name>> = {}): Store {
  const store = createSpoolStore<Name>(directory, {
    ...{ parts: ['messages', 'deployments'], logger, renewMs: 20, now: () => nowMs },
    ...options,
  })
  stores.push(store)
  return store
}

/** Reads the records of other processes, and advances the clock meanwhile. */
async function readLate({ spools }: Store): Promise<readonly string[]> {
  let isDone = false
  const read = spools.messages.read().finally(() => {
    isDone = true
  })
  while (!isDone) {
    nowMs += STALE_MS / 10
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return (await read).map(({ key }) => key)
}

function fill(name: string): void {
  try {
    writeFileSync(join(directory, name), 'x'.repeat(100_000))
  } catch {
    // The disk is full now.
  }
}

function records(): readonly string[] {
  const names = existsSync(directory) ? readdirSync(directory, { recursive: true }) : []
  return names.map(String).filter((name) => name.endsWith('.json'))
}

const messages = (): readonly string[] => logger.lines.map(({ message }) => message)

describe('one process', () => {
  test('keeps records at once, and leaves no files after all are removed', async () => {
    const store = open()
    await store.spools.messages.put('a', 1)
    await store.spools.deployments.put('b', 2)
    expect(store.spools.messages.isSafe('a')).toBe(true)
    expect(records()).toHaveLength(2)
    expect(await store.spools.messages.read()).toEqual([])
    await store.spools.messages.remove('a')
    await store.spools.deployments.remove('b')
    await store.close(60_000)
    expect(readdirSync(directory)).toEqual([])
    expect(logger.lines).toEqual([])
  })

  test('leaves its records to the next process, which does not wait', async () => {
    const first = open()
    await first.spools.messages.put('a', 1)
    await first.spools.deployments.put('b', 2)
    await first.close(60_000)
    const second = open()
    expect(await second.spools.messages.read()).toEqual([{ key: 'a', value: 1 }])
    expect(await second.spools.deployments.read()).toEqual([{ key: 'b', value: 2 }])
    await second.spools.messages.remove('a')
    await second.spools.deployments.remove('b')
    expect(records()).toEqual([])
  })

  test('takes over records that an earlier version kept in the directory itself', async () => {
    mkdirSync(join(directory, 'messages'), { recursive: true, mode: 0o700 })
    writeFileSync(join(directory, 'messages', 'a.json'), '1')
    writeFileSync(join(directory, 'messages', 'b.json.12345'), '{"half')
    const store = open()
    expect(await store.spools.messages.read()).toEqual([{ key: 'a', value: 1 }])
    expect(existsSync(join(directory, 'messages'))).toBe(false)
    expect(records()).toHaveLength(1)
  })

  test('does not follow a link that is named like the directory of another process', async () => {
    const elsewhere = join(folder, 'elsewhere')
    mkdirSync(join(elsewhere, 'messages'), { recursive: true })
    writeFileSync(join(elsewhere, 'messages', 'a.json'), '1')
    mkdirSync(directory, { mode: 0o700 })
    symlinkSync(join(elsewhere, 'messages'), join(directory, 'messages'))
    expect(await open().spools.messages.read()).toEqual([])
    expect(readdirSync(join(elsewhere, 'messages'))).toEqual(['a.json'])
  })

  test('continues after the directory was removed, and still owns its records', async () => {
    const store = open()
    await store.spools.messages.put('a', 1)
    rmSync(directory, { recursive: true })
    await store.spools.messages.put('b', 2)
    expect(records()).toHaveLength(1)
    expect(await store.spools.messages.owns?.('a')).toBe(true)
    expect(logger.lines).toEqual([])
  })

  test('continues when the directory is removed during a renewal of the lease', async () => {
    const { messages: spool } = open({ renewMs: 1 }).spools
    await spool.put('a', 0)
    for (let round = 1; round <= 200; round += 1) {
      rmSync(directory, { recursive: true })
      await spool.put('a', round)
      expect([round, records()]).toEqual([round, [expect.stringMatching(/a\.json$/)]])
    }
    expect(messages()).not.toContain('SPOOL_DIR cannot be used: messages are kept in memory alone')
  })

  test('does not use a directory that others can write to, logs that, and uses it once they cannot', async () => {
    const first = open()
    await first.spools.messages.put('a', 1)
    await first.close(60_000)
    chmodSync(directory, 0o777)
    const { messages: spool } = open().spools
    const left: string[] = []
    spool.onLeft?.((found) => left.push(...found.map(({ key }) => key)))
    await spool.put('b', 1)
    expect(spool.isSafe('b')).toBe(false)
    expect(await spool.read()).toEqual([])
    expect(records()).toHaveLength(1)
    expect(logger.lines.map(({ reason }) => reason)).toContainEqual(
      expect.stringMatching(/^other users can write to it \(mode 0777\)/),
    )
    chmodSync(directory, 0o700)
    await vi.waitFor(() => expect(left).toEqual(['a']), SOON)
    await spool.put('c', 1)
    await vi.waitFor(() => expect(spool.isSafe('b')).toBe(true), SOON)
  })

  test('takes over records on a full disk, so that space becomes free', async () => {
    mkdirSync(directory)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'tmpfs', directory])
    try {
      const first = open()
      await first.spools.messages.put('a', 1)
      await first.close(60_000)
      fill('filler')
      const second = open()
      expect(await second.spools.messages.read()).toEqual([{ key: 'a', value: 1 }])
      expect(logger.lines).toEqual([])
      fill('rest')
      await second.spools.messages.put('b', 1)
      expect(second.spools.messages.isSafe('b')).toBe(false)
      expect(logger.lines).toMatchObject([{ reason: expect.stringMatching(/^ENOSPC/) }])
      rmSync(join(directory, 'filler'))
      await second.spools.messages.remove('a')
      await second.spools.messages.put('c', 1)
      await vi.waitFor(() => expect(second.spools.messages.isSafe('b')).toBe(true), SOON)
      await second.close(60_000)
    } finally {
      execFileSync('umount', ['-l', directory])
    }
  })

  test('does not wait for a disk that does not respond, neither for puts nor for messages', async () => {
    // All threads that Node has for files open a FIFO without a writer.
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
    const stuck = Array.from({ length: threads }, () => openFile(fifo, 'r'))
    const { messages: spool } = open({ timeoutMs: 20, waitMs: 60 }).spools
    await spool.put('a', 1)
    expect(spool.isSafe('a')).toBe(false)
    expect(await spool.owns?.('a')).toBe(true)
    await vi.waitFor(() =>
      expect(messages()).toContain(
        'SPOOL_DIR does not respond: messages of earlier processes are sent once it does',
      ),
    )
    const writer = openSync(fifo, 'r+')
    await Promise.all(stuck.map(async (opening) => (await opening).close()))
    closeSync(writer)
    expect(await spool.read()).toEqual([])
    await vi.waitFor(() => expect(spool.isSafe('a')).toBe(true), SOON)
  })
})

describe('two processes', () => {
  test('keep records at the same time; the second reads those of the first after that has ended', async () => {
    const older = startSpoolProcess(directory)
    expect(await older.ask('put', 'old')).toBe(true)
    const store = open()
    const read = store.spools.messages.read()
    let isRead = false
    void read.then(() => {
      isRead = true
    })
    await store.spools.messages.put('young', 1)
    expect([store.spools.messages.isSafe('young'), records().length]).toEqual([true, 2])
    expect(await older.ask('put', 'late')).toBe(true)
    expect(await older.ask('owns', 'old')).toBe(true)
    expect(isRead).toBe(false)
    await older.ask('close')
    expect((await read).map(({ key }) => key)).toEqual(['late', 'old'])
    expect(records()).toHaveLength(3)
    expect(logger.lines).toEqual([])
  })

  test('the second takes over at once from a process that was killed on the same machine', async () => {
    const older = startSpoolProcess(directory)
    expect(await older.ask('put', 'old')).toBe(true)
    const store = open()
    const read = store.spools.messages.read()
    await older.crash()
    expect((await read).map(({ key }) => key)).toEqual(['old'])
    expect(nowMs).toBe(0)
    expect(records()).toHaveLength(1)
    await store.close(60_000)
    expect(readdirSync(directory)).toHaveLength(1)
    const next = open()
    expect((await next.spools.messages.read()).map(({ key }) => key)).toEqual(['old'])
    expect(logger.lines).toEqual([])
  })

  test.each([
    ['on another machine', { machine: 'another' }],
    ['on a machine without a name', { machine: '' }],
  ])(
    'the younger takes over from one that was killed %s, once its lease is old',
    async (...row) => {
      const older = startSpoolProcess(directory, row[1])
      expect(await older.ask('put', 'old')).toBe(true)
      await older.crash()
      const store = open()
      await store.spools.messages.put('young', 1)
      let isRead = false
      const read = store.spools.messages.read().then((found) => {
        isRead = true
        return found.map(({ key }) => key)
      })
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(isRead).toBe(false)
      void readLate(store)
      expect(await read).toEqual(['old'])
      expect(records()).toHaveLength(2)
    },
  )

  test('a stopped process that lost its records does not change them when it continues', async () => {
    const older = startSpoolProcess(directory)
    expect(await older.ask('put', 'kept')).toBe(true)
    expect(await older.ask('put', 'removed')).toBe(true)
    older.kill('SIGSTOP')
    const store = open()
    expect(await readLate(store)).toEqual(['kept', 'removed'])
    const taken = records()
    const answers = [
      older.ask('tick', 20_000),
      older.ask('remove', 'removed'),
      older.ask('owns', 'kept'),
      older.ask('put', 'kept'),
      older.ask('put', 'new'),
    ]
    older.kill('SIGCONT')
    expect(await Promise.all(answers)).toEqual([null, null, false, true, true])
    expect(records().filter((name) => taken.includes(name))).toEqual(taken)
    expect(records()).toHaveLength(3)
    expect(await older.ask('log')).toEqual([
      expect.objectContaining({
        message: 'another process has taken over messages of this one',
      }),
    ])
    expect(logger.lines).toEqual([])
    await older.ask('close')
    const left: string[] = []
    store.spools.messages.onLeft?.((found) => left.push(...found.map(({ key }) => key)))
    await vi.waitFor(() => expect(left).toEqual(['new']), SOON)
  })

  test('that run concurrently for a long time do not delay messages; only a line is logged', async () => {
    const older = startSpoolProcess(directory)
    expect(await older.ask('put', 'old')).toBe(true)
    const store = open({ staleMs: Number.POSITIVE_INFINITY })
    nowMs = 60_000
    expect(await store.spools.messages.read()).toEqual([])
    expect(messages()).toEqual([
      'another process still uses SPOOL_DIR: messages of both are sent concurrently',
    ])
    expect(logger.lines[0]).toMatchObject({ level: 'error', directory, waitedMs: 60_000 })
    const left: string[] = []
    store.spools.messages.onLeft?.((found) => left.push(...found.map(({ key }) => key)))
    await older.ask('close')
    await vi.waitFor(() => expect(left).toEqual(['old']), SOON)
    expect(logger.lines).toHaveLength(1)
  })
})

test.each([
  ['on the same machine', {}],
  ['on another machine', { machine: 'another' }],
])(
  'of two that wait for one that was killed %s, each record has one',
  async (_, options) => {
    const older = startSpoolProcess(directory, options)
    const keys = Array.from({ length: 60 }, (_, n) => `k${String(n).padStart(2, '0')}`)
    await Promise.all(keys.map((key) => older.ask('put', key)))
    await older.crash()
    // Their clocks count how often they look, so that however slow the machine is, each of the two sees
    // that the other one lives.
    const found: string[] = []
    for (const _ of [1, 2]) {
      let looks = 0
      const now = (): number => looks++
      const { messages: spool } = open({ now, staleMs: 300, waitMs: 1, renewMs: 5 }).spools
      const note = (left: readonly SpooledRecord[]): void =>
        void found.push(...left.map(({ key }) => key))
      spool.onLeft?.(note)
      void spool.read().then(note)
    }
    await vi.waitFor(() => expect(found.toSorted()).toEqual(keys), SOON)
    expect(records()).toHaveLength(60)
  },
  60_000,
)

test('each kept record is read exactly once, whichever process is killed at any time', async () => {
  const kept = new Set<string>()
  let before: ReturnType<typeof startSpoolProcess> | undefined
  for (let round = 0; round < 5; round += 1) {
    const process = startSpoolProcess(directory, { staleMs: 5, waitMs: 3_600_000 })
    // The clock of the process goes on, so that it takes over while it is killed.
    const ticks = setInterval(() => void process.ask('tick', 5), 3)
    void process.ask('read')
    await Promise.all(
      Array.from({ length: 25 }, async (_, n) => {
        const key = `r${round}-${n}`
        if ((await process.ask('put', key)) === true) {
          kept.add(key)
        }
      }),
    )
    await before?.crash()
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
    clearInterval(ticks)
    before = process
  }
  await before?.crash()
  expect(kept.size).toBe(125)
  expect([...(await readLate(open()))].sort()).toEqual([...kept].sort())
  expect(records()).toHaveLength(125)
}, 120_000)

describe('a lease file', () => {
  test.each<[what: string, looks: readonly (readonly [string, number])[], isStale: boolean]>([
    ['that is seen for the first time', [['1', 99_999]], false],
    ['that changes each time', [['1', 0], ['2', 9000], ['3', 18_000]], false], // biome-ignore format: a table
    ['that changed less than ten seconds ago', [['1', 0], ['2', 9000], ['2', 18_999]], false], // biome-ignore format: a table
    ['that stays as it is for ten seconds', [['1', 0], ['2', 9000], ['2', 19_000]], true], // biome-ignore format: a table
    ['that was not looked at for long, and was written meanwhile', [['1', 0], ['7', 60_000]], false], // biome-ignore format: a table
  ])('%s: the lease is stale or not', (_, looks, isStale) => {
    const watch = createLeaseWatch(STALE_MS)
    expect(looks.map(([content, atMs]) => watch.isStale('p', content, atMs)).at(-1)).toBe(isStale)
  })
})
