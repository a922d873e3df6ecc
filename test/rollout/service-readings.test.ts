import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { thisMoment } from '../../src/async/moment.ts'
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
  const now = thisMoment
  return { swarm, ID, readings, count, now }
}

describe('a reading', () => {
  test('that is to begin now is made, and shared by all who ask meanwhile', async () => {
    const { ID, readings, count, now } = setUp()
    const readers = Array.from({ length: 40 }, () => readings.open(ID))
    const needs = { withTasks: true, since: now() }
    const all = await Promise.all(readers.map((reader) => reader.read(needs)))
    expect(new Set(all).size).toBe(1)
    expect([count('inspect'), count('tasks')]).toEqual([1, 1])
  })

  test('from before the moment that counts is made anew, though the clock stands still', async () => {
    const { ID, readings, count, now } = setUp()
    const [one, other] = [readings.open(ID), readings.open(ID)]
    await one.read({ withTasks: true, since: now() })
    await other.read({ withTasks: true, since: now() })
    expect(count('tasks')).toBe(2)
  })

  test('of another watch will do for a second', async () => {
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

  test('without tasks is none for who needs tasks', async () => {
    const { ID, readings, count, now } = setUp()
    const reader = readings.open(ID)
    const since = now()
    expect((await reader.read({ withTasks: false, since })).tasks).toBeUndefined()
    expect((await reader.read({ withTasks: true, since })).tasks).toHaveLength(1)
    expect([count('inspect'), count('tasks'), count('nodes')]).toEqual([2, 1, 1])
  })

  test('is forgotten with its last user, and closed only once by each', async () => {
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

  test('that hangs holds up nobody who wants a later one', async () => {
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

  test('that fails fails for all who share it, and for nobody after', async () => {
    const { swarm, ID, readings, now } = setUp()
    const [one, other] = [readings.open(ID), readings.open(ID)]
    swarm.failure = new Error('away')
    const needs = { withTasks: true, since: now() }
    const shared = [one.read(needs), other.read(needs)]
    await Promise.all(shared.map((reading) => expect(reading).rejects.toThrow('away')))
    swarm.failure = undefined
    expect((await one.read(needs)).service.ID).toBe(ID)
  })
})
