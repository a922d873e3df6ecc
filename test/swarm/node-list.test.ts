import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createNodeList } from '../../src/swarm/node-list.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

test.each([
  ['does not change', 0],
  ['is set back by a day', -86_400_000],
  ['is set forward by a day', 86_400_000],
])('the list expires by elapsed time, when the system clock %s', async (_, jumpMs) => {
  const swarm = createFakeSwarm()
  let reads = 0
  const listNodes = () => {
    reads += 1
    return swarm.listNodes()
  }
  const list = createNodeList({ ...swarm, listNodes })
  await list.read(10_000)
  vi.setSystemTime(Date.now() + jumpMs)
  vi.advanceTimersByTime(9999)
  await list.read(10_000)
  expect(reads).toBe(1)
  vi.advanceTimersByTime(1)
  await list.read(10_000)
  expect(reads).toBe(2)
})
