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

test('a thousand waits for a signal are one listener, and none when they have ended', async () => {
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

test('functions are called once, in the order of their registration, also when one cancels itself', () => {
  const { controller, signal } = setUp()
  const called: string[] = []
  const cancel = onAbort(signal, () => {
    called.push('one')
    cancel()
  })
  onAbort(signal, () => called.push('two'))
  onAbort(signal, () => called.push('three'))()
  controller.abort()
  expect(called).toEqual(['one', 'two'])
})

test('a function that is registered after all others were cancelled is called', () => {
  const { controller, signal, listeners } = setUp()
  const cancel = onAbort(signal, () => expect.unreachable())
  cancel()
  cancel()
  let isCalled = false
  onAbort(signal, () => {
    isCalled = true
  })
  cancel()
  expect(listeners()).toBe(1)
  controller.abort()
  expect(isCalled).toBe(true)
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

test('waitFor ends with its promise, its timeout or any of its signals, and leaves nothing behind', async () => {
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
