import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createWaitingCallers } from '../../src/http/waiting-callers.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a limited number of callers wait at the same time; the next one is rejected until a place is free', async () => {
  const callers = createWaitingCallers(2)
  const first = await callers.enter()
  const second = await callers.enter()
  await expect(callers.enter()).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 5 })
  first.release()
  first.release()
  await callers.enter()
  await expect(callers.enter()).rejects.toThrow('2 callers wait already')
  second.release()
  await callers.enter()
})

test('2,000 callers may wait by default', async () => {
  const callers = createWaitingCallers()
  for (let n = 0; n < 2000; n += 1) {
    await callers.enter()
  }
  await expect(callers.enter()).rejects.toThrow('2000 callers wait already')
})

test('a caller keeps its place for as long as it waits, and a released place leaves no timer behind', async () => {
  const callers = createWaitingCallers(1)
  const place = await callers.enter()
  await vi.advanceTimersByTimeAsync(60 * 60 * 1000)
  await expect(callers.enter()).rejects.toThrow('1 callers wait already')
  place.release()
  expect(vi.getTimerCount()).toBe(0)
})

test('the places of requests that the runtime has ended are free after 3 s', async () => {
  const callers = createWaitingCallers(2)
  const abandoned = await callers.enter()
  await callers.enter()
  // As workerd does when a client disconnects: nothing of its request runs any more.
  vi.clearAllTimers()
  await expect(callers.enter()).rejects.toThrow('2 callers wait already')
  await vi.advanceTimersByTimeAsync(3000)
  const entered = Promise.all([callers.enter(), callers.enter()])
  await vi.advanceTimersByTimeAsync(50)
  await entered
  abandoned.release()
  await expect(callers.enter()).rejects.toThrow('2 callers wait already')
})
