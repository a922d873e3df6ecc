import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import type { HistoryService } from '../../src/history/deployment-history.ts'
import type { HistoryEntry } from '../../src/history/history-entry.ts'
import { readEntries, withNotes } from '../../src/history/history-labels.ts'
import {
  createHistoryRecorder,
  type HistoryRecorder,
  type HistoryRecorderOptions,
} from '../../src/history/history-recorder.ts'
import { createFakeHistoryStore, type FakeHistoryStore } from '../support/fake-history-store.ts'
import { createRecordingLogger, type RecordingLogger } from '../support/recording-fakes.ts'

const BLOG = { serviceId: 'blogblogblogblogblogblog1', service: 'blog' }
const UNREACHABLE = new DeployerError('engine-unreachable', 'Cannot reach the engine')

interface Subject {
  readonly store: FakeHistoryStore
  readonly history: HistoryRecorder
  readonly logger: RecordingLogger
  readonly stop: AbortController
}

function start(
  store: FakeHistoryStore = createFakeHistoryStore(),
  options: Partial<HistoryRecorderOptions> = {},
): Subject {
  const logger = createRecordingLogger()
  const stop = new AbortController()
  const { signal } = stop
  return {
    ...{ store, logger, stop },
    history: createHistoryRecorder({ store, logger, signal, ...options }),
  }
}

function entry(versionIndex: number, more: Partial<HistoryEntry> = {}): HistoryEntry {
  return { versionIndex, startedAt: '2026-01-01T00:00:00.000Z', ...more }
}

function serviceNumber(number: number): HistoryService {
  return { serviceId: `service${number}`, service: `name${number}` }
}

const writes = ({ calls }: FakeHistoryStore): number =>
  calls.filter((call) => call.startsWith('write')).length

const stored = ({ store }: Subject, { serviceId }: HistoryService = BLOG): unknown =>
  readEntries(store.labels(serviceId) ?? {})

const messages = ({ logger }: Subject): readonly string[] =>
  logger.lines.map(({ message }) => message)

/** Lets everything happen that is due now. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('notes', () => {
  test('the first is written at once, with the others of the same moment', async () => {
    const subject = start()
    const { store, history } = subject
    history.note(BLOG, entry(1, { image: 'me/app:v2' }))
    history.note(BLOG, entry(1, { verdict: 'converged' }))
    await settle()
    expect(stored(subject)).toEqual([entry(1, { image: 'me/app:v2', verdict: 'converged' })])
    expect(store.labels(BLOG.serviceId)).toMatchObject({ 'deployer.service': 'blog' })
    expect(store.calls).toEqual([`read ${BLOG.serviceId}`, `write ${BLOG.serviceId}`])
  })

  test('those of the next 5 s are written together', async () => {
    const subject = start()
    const { store, history } = subject
    history.note(BLOG, entry(1))
    await settle()
    history.note(BLOG, entry(2))
    await vi.advanceTimersByTimeAsync(2000)
    history.note(BLOG, entry(3))
    await vi.advanceTimersByTimeAsync(2999)
    expect(writes(store)).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(writes(store)).toBe(2)
    expect(stored(subject)).toEqual([entry(3), entry(2), entry(1)])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(store.calls).toHaveLength(4)
    history.note(BLOG, entry(4))
    await settle()
    expect(writes(store)).toBe(3)
  })

  test('the ration of a service holds also after everything was written', async () => {
    const { store, history } = start()
    for (let second = 0; second < 20; second += 1) {
      history.note(BLOG, entry(second))
      await vi.advanceTimersByTimeAsync(1000)
    }
    expect(writes(store)).toBe(5)
  })

  test('ten services are written in a second, the others later', async () => {
    const { store, history } = start()
    for (let number = 0; number < 25; number += 1) {
      history.note(serviceNumber(number), entry(1))
    }
    await settle()
    expect(writes(store)).toBe(10)
    await vi.advanceTimersByTimeAsync(1000)
    expect(writes(store)).toBe(20)
    await vi.advanceTimersByTimeAsync(1000)
    expect(writes(store)).toBe(25)
  })

  test('what is noted already is not written again', async () => {
    const { store, history } = start()
    history.note(BLOG, entry(1, { verdict: 'converged' }))
    await vi.advanceTimersByTimeAsync(10_000)
    history.note(BLOG, entry(1, { verdict: 'superseded' }))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(store.calls).toHaveLength(3)
    expect(writes(store)).toBe(1)
  })

  test('what changes nothing does not delay the next write', async () => {
    const subject = start()
    const { store, history } = subject
    history.noteOutside(BLOG, entry(1, { resolved: 'me/app:v1' }))
    history.noteRemoved('nobody', '2026-01-02T00:00:00.000Z')
    await settle()
    expect([writes(store), store.calls.length]).toEqual([0, 2])
    history.note(BLOG, entry(2))
    await settle()
    expect(stored(subject)).toEqual([entry(2)])
  })

  test('deployments do not wait behind changes that others may have made', async () => {
    const { store, history } = start()
    for (let number = 0; number < 50; number += 1) {
      history.noteOutside(serviceNumber(number), entry(1))
    }
    await settle()
    history.note(BLOG, entry(1))
    await vi.advanceTimersByTimeAsync(1000)
    expect(store.serviceIds()).toEqual([BLOG.serviceId])
  })

  test('a change that others made is entered over the history as it is stored then', async () => {
    const first = start()
    const second = start(first.store.handle())
    const outside = entry(2, { resolved: 'me/app:v2', kind: 'outside', previous: 'me/app:v1' })
    first.history.note(BLOG, entry(1, { resolved: 'me/app:v1' }))
    await settle()
    second.history.noteOutside(BLOG, outside)
    second.history.noteOutside(BLOG, { ...outside, versionIndex: 3 })
    first.history.noteOutside(BLOG, { ...outside, versionIndex: 4 })
    expect(await second.history.read(BLOG.serviceId)).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(stored(first)).toEqual([outside, entry(1, { resolved: 'me/app:v1' })])
  })

  test('a service that is gone is noted once, and only where there is a history', async () => {
    const { store, history } = start()
    history.note(BLOG, entry(1))
    await settle()
    history.noteRemoved(BLOG.serviceId, '2026-01-02T00:00:00.000Z')
    await vi.advanceTimersByTimeAsync(5000)
    history.noteRemoved(BLOG.serviceId, '2026-01-03T00:00:00.000Z')
    await vi.advanceTimersByTimeAsync(5000)
    expect(store.labels(BLOG.serviceId)).toMatchObject({
      'deployer.removedAt': '2026-01-02T00:00:00.000Z',
      'deployer.service': 'blog',
    })
    expect(writes(store)).toBe(2)
  })

  test('a note that arrives while another is written is not lost', async () => {
    const subject = start()
    const { store, history } = subject
    store.beforeWrite = () => {
      store.beforeWrite = () => {}
      history.note(BLOG, entry(1, { verdict: 'converged' }))
      history.note(BLOG, entry(2))
    }
    history.note(BLOG, entry(1))
    await vi.advanceTimersByTimeAsync(5000)
    expect(stored(subject)).toEqual([entry(2), entry(1, { verdict: 'converged' })])
  })

  test('notes of several processes are merged', async () => {
    const first = start()
    const second = start(first.store.handle())
    first.history.note(BLOG, entry(1, { image: 'me/app:v2' }))
    second.history.note(BLOG, entry(1, { verdict: 'failed' }))
    second.history.note(BLOG, entry(2))
    await vi.advanceTimersByTimeAsync(2000)
    expect(stored(first)).toEqual([entry(2), entry(1, { image: 'me/app:v2', verdict: 'failed' })])
    expect(messages(first)).toEqual([])
  })

  test('a service that is written all the time by others is tried again later', async () => {
    const subject = start()
    const { store, history } = subject
    const other = store.handle()
    let count = 0
    store.beforeWrite = () => {
      count += 1
      other.put(BLOG.serviceId, withNotes({}, { service: 'blog', entries: [entry(count)] }, 10))
    }
    history.note(BLOG, entry(100))
    await vi.advanceTimersByTimeAsync(3000)
    expect(count).toBeGreaterThanOrEqual(8)
    expect(count).toBeLessThan(60)
    expect(messages(subject)).toEqual(['history failed'])
    store.beforeWrite = () => {}
    await vi.advanceTimersByTimeAsync(31_000)
    expect(stored(subject)).toEqual([entry(100), entry(count)])
    expect(messages(subject)).toEqual(['history failed', 'history works again'])
  })

  test('a write that failed is repeated, also one that was applied', async () => {
    const subject = start()
    const { store, history } = subject
    store.failure = UNREACHABLE
    history.note(BLOG, entry(1))
    await vi.advanceTimersByTimeAsync(120_000)
    expect(messages(subject)).toEqual(['history failed'])
    expect(store.calls.length).toBeLessThan(15)
    store.failure = undefined
    store.losesAnswers = true
    await vi.advanceTimersByTimeAsync(31_000)
    store.losesAnswers = false
    await vi.advanceTimersByTimeAsync(31_000)
    expect(stored(subject)).toEqual([entry(1)])
    expect(writes(store)).toBe(1)
    expect(messages(subject)).toEqual(['history failed', 'history works again'])
  })

  test('a history of another format is neither read nor written', async () => {
    const subject = start()
    const { store, history } = subject
    const labels = {
      ...withNotes({}, { service: 'blog', entries: [] }, 10),
      'deployer.format': '2',
    }
    store.put(BLOG.serviceId, labels)
    history.note(BLOG, entry(1))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(store.labels(BLOG.serviceId)).toEqual(labels)
    expect(writes(store)).toBe(0)
    expect(messages(subject)).toEqual(['history failed'])
  })

  test('of more than 1,000 services that cannot be written, the oldest are dropped, with a log line', async () => {
    const subject = start()
    const { store, history, logger } = subject
    store.failure = UNREACHABLE
    for (let number = 0; number < 1003; number += 1) {
      history.note(serviceNumber(number), entry(1))
      await settle()
    }
    expect(logger.lines.filter(({ serviceId }) => serviceId !== undefined)).toHaveLength(3)
    store.failure = undefined
    await vi.advanceTimersByTimeAsync(200_000)
    expect(store.serviceIds()).toHaveLength(1000)
  })

  test('timers do not keep a process running', async () => {
    const { history } = start()
    const setTimer = vi.spyOn(globalThis, 'setTimeout')
    history.note(BLOG, entry(1))
    await settle()
    history.note(BLOG, entry(2))
    const timers = setTimer.mock.results.map(({ value }) => value.hasRef())
    expect(timers).toEqual([false])
    setTimer.mockRestore()
  })

  test('what an ended request left over is written at the next call', async () => {
    const subject = start()
    const { store, history } = subject
    history.note(BLOG, entry(1))
    await settle()
    history.note(BLOG, entry(2))
    // As on workerd, where the timers of a request end with it.
    vi.clearAllTimers()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(writes(store)).toBe(1)
    await history.read('another')
    await settle()
    expect(writes(store)).toBe(2)
  })

  test('a call that an ended request left over is started again after a minute', async () => {
    const subject = start()
    const { store, history } = subject
    const { read } = store
    store.read = () => new Promise(() => {})
    history.note(BLOG, entry(1))
    await settle()
    store.read = read
    await vi.advanceTimersByTimeAsync(61_000)
    history.note(serviceNumber(1), entry(1))
    await settle()
    expect(stored(subject)).toEqual([entry(1)])
  })

  test('idle waits until everything is written', async () => {
    const { store, history } = start()
    history.note(BLOG, entry(1))
    await settle()
    history.note(BLOG, entry(2))
    let isIdle = false
    const idle = history.idle().then(() => {
      isIdle = true
    })
    await vi.advanceTimersByTimeAsync(4000)
    expect(isIdle).toBe(false)
    await vi.advanceTimersByTimeAsync(1500)
    expect([isIdle, writes(store)]).toEqual([true, 2])
    await idle
    store.failure = UNREACHABLE
    history.note(BLOG, entry(3))
    void history.idle().then(() => {
      isIdle = false
    })
    await vi.advanceTimersByTimeAsync(26_000)
    expect(isIdle).toBe(false)
  })
})

describe('flush', () => {
  test('writes everything at once', async () => {
    const { store, history } = start()
    history.note(BLOG, entry(0))
    await settle()
    history.note(BLOG, entry(1))
    for (let number = 0; number < 60; number += 1) {
      history.note(serviceNumber(number), entry(1))
    }
    const flushed = history.flush()
    await settle()
    await flushed
    expect(writes(store)).toBe(62)
  })

  test('resolves after one try where the store fails, and within 5 s where it hangs', async () => {
    const { store, history } = start()
    store.failure = UNREACHABLE
    history.note(BLOG, entry(1))
    await settle()
    const flushed = history.flush()
    await settle()
    await flushed
    expect(store.calls).toHaveLength(2)
    store.failure = undefined
    store.read = () => new Promise(() => {})
    let isFlushed = false
    void history.flush().then(() => {
      isFlushed = true
    })
    await vi.advanceTimersByTimeAsync(4999)
    expect(isFlushed).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(isFlushed).toBe(true)
  })

  test('notes after the end of the process began are written at once', async () => {
    const { store, history, stop } = start()
    history.note(BLOG, entry(1))
    await settle()
    stop.abort()
    history.note(BLOG, entry(2))
    await settle()
    expect(writes(store)).toBe(2)
  })
})

describe('read', () => {
  test('has what is stored and what is not written yet', async () => {
    const { store, history } = start()
    store.put(BLOG.serviceId, withNotes({}, { service: 'blog', entries: [entry(1)] }, 10))
    history.note(BLOG, entry(2))
    await settle()
    history.note(BLOG, entry(2, { verdict: 'converged' }))
    expect(await history.read(BLOG.serviceId)).toEqual([
      entry(2, { verdict: 'converged' }),
      entry(1),
    ])
    expect(await history.read('another')).toEqual([])
  })

  test('has what is written while it reads', async () => {
    const { store, history } = start()
    const { read } = store
    history.note(BLOG, entry(1))
    await settle()
    history.note(BLOG, entry(2))
    store.read = async (serviceId) => {
      store.read = read
      const before = await read(serviceId)
      await vi.advanceTimersByTimeAsync(5000)
      return before
    }
    expect(await history.read(BLOG.serviceId)).toEqual([entry(2), entry(1)])
    expect(writes(store)).toBe(2)
  })

  test('is shared by callers who read at the same time', async () => {
    const { store, history } = start()
    await Promise.all(Array.from({ length: 20 }, () => history.read(BLOG.serviceId)))
    expect(store.calls).toHaveLength(1)
    await history.read(BLOG.serviceId)
    expect(store.calls).toHaveLength(2)
  })

  test('never rejects; a failure is logged once', async () => {
    const subject = start()
    const { store, history } = subject
    store.failure = UNREACHABLE
    history.note(BLOG, entry(1))
    expect(await history.read(BLOG.serviceId)).toEqual([entry(1)])
    expect(await history.read(BLOG.serviceId)).toEqual([entry(1)])
    expect(messages(subject)).toEqual(['history failed'])
  })

  test('of all services that had a name', async () => {
    const { store, history } = start()
    const notes = { service: 'blog', entries: [entry(1)], removedAt: '2026-01-02T00:00:00.000Z' }
    store.put('gone', withNotes({}, notes, 10))
    store.put('other', withNotes({}, { ...notes, service: 'shop' }, 10))
    history.note(BLOG, entry(2))
    expect(await history.findByName('blog')).toEqual([
      { serviceId: 'gone', ...notes },
      { ...BLOG, removedAt: undefined, entries: [entry(2)] },
    ])
    expect(await history.findById('other')).toMatchObject({ service: 'shop' })
    expect(await history.findById('none')).toBeUndefined()
    store.failure = UNREACHABLE
    await expect(history.findByName('blog')).rejects.toBe(UNREACHABLE)
    await expect(history.findById('gone')).rejects.toBe(UNREACHABLE)
  })
})

describe('a store that may not be used', () => {
  test('is reported once, and tried again after a minute', async () => {
    const subject = start()
    const { store, history } = subject
    store.isClosed = true
    for (let number = 0; number < 5; number += 1) {
      history.note(serviceNumber(number), entry(1))
    }
    await settle()
    expect([history.isOn(), messages(subject)]).toEqual([false, ['no history is kept']])
    const { length } = store.calls
    await vi.advanceTimersByTimeAsync(59_000)
    expect(await history.read('service0')).toEqual([entry(1)])
    await expect(history.findByName('name0')).rejects.toMatchObject({ code: 'history-unavailable' })
    expect(store.calls).toHaveLength(length)
    await vi.advanceTimersByTimeAsync(1000)
    expect(store.calls).toHaveLength(length + 1)
    store.isClosed = false
    await vi.advanceTimersByTimeAsync(66_000)
    expect(store.serviceIds()).toHaveLength(5)
    expect(history.isOn()).toBe(true)
    expect(messages(subject)).toEqual(['no history is kept', 'history works again'])
  })

  test('a flush does not wait for it', async () => {
    const { store, history } = start()
    store.isClosed = true
    history.note(BLOG, entry(1))
    await settle()
    await history.flush()
    await history.idle()
    expect(store.calls).toHaveLength(1)
  })
})

test('histories are on once the store has answered', async () => {
  const { history } = start()
  expect(history.isOn()).toBe(false)
  await history.read(BLOG.serviceId)
  expect(history.isOn()).toBe(true)
})

test('without a store, nothing is kept', async () => {
  const logger = createRecordingLogger()
  const { signal } = new AbortController()
  const history = createHistoryRecorder({ store: undefined, logger, signal })
  history.note(BLOG, entry(1))
  history.noteOutside(BLOG, entry(1))
  history.noteRemoved(BLOG.serviceId, '2026-01-01T00:00:00.000Z')
  expect([history.isOn(), await history.read(BLOG.serviceId)]).toEqual([false, []])
  await expect(history.findById('x')).rejects.toMatchObject({ code: 'history-unavailable' })
  await expect(history.findByName('x')).rejects.toMatchObject({ code: 'history-unavailable' })
  await Promise.all([history.flush(), history.idle()])
})
