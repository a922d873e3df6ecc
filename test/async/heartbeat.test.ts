import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startHeartbeat } from '../../src/async/heartbeat.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

test('a heartbeat is alive while its timer fires', async () => {
  let ticks = 0
  const heartbeat = startHeartbeat(() => {
    ticks += 1
  })
  await vi.advanceTimersByTimeAsync(10_000)
  expect([await heartbeat.isAlive(), ticks]).toEqual([true, 10])
  heartbeat.stop()
  expect(vi.getTimerCount()).toBe(0)
})

test('a heartbeat whose timer the runtime has ended is not alive', async () => {
  const heartbeat = startHeartbeat()
  vi.clearAllTimers()
  await vi.advanceTimersByTimeAsync(2499)
  expect(await heartbeat.isAlive()).toBe(true)
  await vi.advanceTimersByTimeAsync(1)
  const isAlive = heartbeat.isAlive()
  await vi.advanceTimersByTimeAsync(50)
  expect(await isAlive).toBe(false)
})

test('a heartbeat is alive after the event loop was blocked, since its overdue timer fires first', async () => {
  const heartbeat = startHeartbeat()
  await vi.advanceTimersByTimeAsync(999)
  const blockedUntil = performance.now() + 60_000
  vi.spyOn(performance, 'now').mockImplementation(() => blockedUntil)
  const isAlive = heartbeat.isAlive()
  await vi.advanceTimersByTimeAsync(50)
  expect(await isAlive).toBe(true)
})
