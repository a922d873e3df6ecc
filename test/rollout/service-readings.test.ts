import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { nextSequenceNumber } from '../../src/async/sequence-number.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function setUp() {
  const swarm = createFakeSwarm()
  const { ID } = swarm.addService('blog')
  const readings = createServiceReadings(swarm, createNodeList(swarm))
  const count = (call: string): number => swarm.calls.filter((one) => one.startsWith(call)).length
  const now = nextSequenceNumber
  return { swarm, ID, readings, count, now }
}

describe('a reading', () => {
  test('that has to start now is made once, and shared by concurrent callers', async () => {
    const { ID, readings, count, now } = setUp()
    const readers = Array.from({ length: 40 }, () => readings.open(ID))
    const needs = { withTasks: true, since: now() }
    const all = await Promise.all(readers.map((reader) => reader.read(needs)))
    expect(new Set(all).size).toBe(1)
    expect([count('inspect'), count('tasks')]).toEqual([1, 1])
  })

  test('that started too early is not shared, even while the clock stands still', async () => {
    const { ID, readings, count, now } = setUp()
    const [one, other] = [readings.open(ID), readings.open(ID)]
    await one.read({ withTasks: true, since: now() })
    await other.read({ withTasks: true, since: now() })
    expect(count('tasks')).toBe(2)
  })

  test('of another watch is shared for a second', async () => {
    const { ID, readings, count, now } = setUp()
    const [one, other] = [readings.open(ID), readings.open(ID)]
    const since = now()
    vi.advanceTimersByTime(5)
    const first = await one.read({ withTasks: true, since: now() })
    vi.advanceTimersByTime(999)
    expect(await other.read({ withTasks: true, since })).toBe(first)
    vi.advanceTimersByTime(1)
    expect(await other.read({ withTasks: true, since })).not.toBe(first)
    expect(count('tasks')).toBe(2)
  })

  test('without tasks is not shared with a caller that needs tasks', async () => {
    const { ID, readings, count, now } = setUp()
    const reader = readings.open(ID)
    const since = now()
    expect((await reader.read({ withTasks: false, since })).tasks).toBeUndefined()
    expect((await reader.read({ withTasks: true, since })).tasks).toHaveLength(1)
    expect([count('inspect'), count('tasks'), count('nodes')]).toEqual([2, 1, 1])
  })

  test('is dropped with its last user, and each user closes it once', async () => {
    const { ID, readings, count, now } = setUp()
    const [one, other] = [readings.open(ID), readings.open(ID)]
    const since = now()
    await one.read({ withTasks: false, since })
    one.close()
    one.close()
    const third = readings.open(ID)
    await third.read({ withTasks: false, since })
    expect(count('inspect')).toBe(1)
    other.close()
    third.close()
    await readings.open(ID).read({ withTasks: false, since })
    expect(count('inspect')).toBe(2)
  })

  test('that hangs does not delay a caller that needs a later one', async () => {
    const { swarm, ID, readings, now } = setUp()
    const { listTasks } = swarm
    swarm.listTasks = () => new Promise(() => {})
    const hanging = readings.open(ID)
    void hanging.read({ withTasks: true, since: now() })
    swarm.listTasks = listTasks
    vi.advanceTimersByTime(1)
    const reading = await readings.open(ID).read({ withTasks: true, since: now() })
    expect(reading.tasks).toHaveLength(1)
  })

  test('that fails is shared by current callers only', async () => {
    const { swarm, ID, readings, now } = setUp()
    const [one, other] = [readings.open(ID), readings.open(ID)]
    swarm.failure = new Error('unreachable')
    const needs = { withTasks: true, since: now() }
    const shared = [one.read(needs), other.read(needs)]
    await Promise.all(shared.map((reading) => expect(reading).rejects.toThrow('unreachable')))
    swarm.failure = undefined
    expect((await one.read(needs)).service.ID).toBe(ID)
  })

  test('that hangs is made again after 5 s, once for all callers that share it', async () => {
    const { swarm, ID, readings, count, now } = setUp()
    const { inspectService } = swarm
    swarm.inspectService = () => new Promise(() => {})
    const needs = { withTasks: false, since: now() }
    void readings.open(ID).read(needs)
    const shared = Array.from({ length: 40 }, () => readings.open(ID).read(needs))
    swarm.inspectService = inspectService
    await vi.advanceTimersByTimeAsync(4999)
    expect(count('inspect')).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect(new Set(await Promise.all(shared)).size).toBe(1)
    expect(count('inspect')).toBe(1)
  })
})
