import { expect, test, vi } from 'vitest'
import { onAbort } from '../../src/async/abort.ts'
import { waitFor } from '../../src/async/wait-for.ts'

function setUp() {
  const controller = new AbortController()
  const { signal } = controller
  const added = vi.spyOn(signal, 'addEventListener')
  const removed = vi.spyOn(signal, 'removeEventListener')
  const listeners = (): number => added.mock.calls.length - removed.mock.calls.length
  return { controller, signal, listeners }
}

test('a thousand who wait for a signal are one listener, and none when they are gone', async () => {
  const { signal, listeners } = setUp()
  const ends: (() => void)[] = []
  const waits = Array.from({ length: 1000 }, () =>
    waitFor(new Promise<void>((resolve) => ends.push(resolve)), { signals: [signal] }),
  )
  expect(listeners()).toBe(1)
  for (const end of ends) {
    end()
  }
  await Promise.all(waits)
  expect(listeners()).toBe(0)
})

test('all are told once, in the order in which they came, also by one who leaves meanwhile', () => {
  const { controller, signal } = setUp()
  const told: string[] = []
  const leave = onAbort(signal, () => {
    told.push('one')
    leave()
  })
  onAbort(signal, () => told.push('two'))
  onAbort(signal, () => told.push('three'))()
  controller.abort()
  expect(told).toEqual(['one', 'two'])
})

test('who comes after all others have left is told too', () => {
  const { controller, signal, listeners } = setUp()
  const leave = onAbort(signal, () => expect.unreachable())
  leave()
  leave()
  let isTold = false
  onAbort(signal, () => {
    isTold = true
  })
  leave()
  expect(listeners()).toBe(1)
  controller.abort()
  expect(isTold).toBe(true)
})

test('a signal that has aborted has no listener, and gets none', () => {
  const { controller, signal, listeners } = setUp()
  onAbort(signal, () => {})
  onAbort(signal, () => {})
  controller.abort()
  expect(listeners()).toBe(0)
  onAbort(signal, () => expect.unreachable())()
  expect(listeners()).toBe(0)
})

test('a background wait lets the process end', async () => {
  const timers = vi.spyOn(globalThis, 'setTimeout')
  try {
    await waitFor(Promise.resolve(), { timeoutMs: 1000, signals: [], isBackground: true })
    await waitFor(Promise.resolve(), { timeoutMs: 1000, signals: [] })
    const made = timers.mock.results.map(({ value }) => value as NodeJS.Timeout)
    expect(made.map((timer) => timer.hasRef())).toEqual([false, true])
  } finally {
    timers.mockRestore()
  }
})

test('waitFor ends with its work, its time or any of its signals, and leaves nothing behind', async () => {
  vi.useFakeTimers()
  try {
    const one = setUp()
    const two = setUp()
    const signals = [one.signal, two.signal]
    const never = (): Promise<never> => new Promise(() => {})
    await waitFor(Promise.resolve(), { timeoutMs: 1000, signals })
    await waitFor(Promise.reject(new Error('x')), { timeoutMs: 1000, signals })
    const timed = waitFor(never(), { timeoutMs: 1000, signals })
    await vi.advanceTimersByTimeAsync(1000)
    await timed
    const aborted = waitFor(never(), { timeoutMs: 1000, signals })
    two.controller.abort()
    await aborted
    await waitFor(never(), { timeoutMs: 1000, signals })
    expect([one.listeners(), two.listeners(), vi.getTimerCount()]).toEqual([0, 0, 0])
  } finally {
    vi.useRealTimers()
  }
})
