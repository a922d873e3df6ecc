// Recovery after a restart: records of an earlier process, and writes whose result is unknown.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { deploymentId } from '../../src/deployment/deployment.ts'
import { withRecord } from '../../src/deployment/deployment-record.ts'
import type { Outcome } from '../../src/deployment/verdict.ts'
import { DeployerError } from '../../src/errors.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import {
  type DeploymentState,
  type JournalEntry,
  refusedEntry,
} from '../../src/notification/journal.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'
import { exampleEvent } from '../support/example-event.ts'
import { createFakeSpool } from '../support/fake-spool.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import {
  createHarness,
  entryOf,
  leave,
  never,
  originOf,
  preparedOver,
  stopPublishers,
  unwritten,
} from '../support/publisher-harness.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  stopPublishers()
  vi.useRealTimers()
})

describe('the recovery', () => {
  test('publishes the events of an earlier process first, also when the spool is slow', async () => {
    const startedAt = new Date(Date.now() - 1000).toISOString()
    const event = exampleEvent({
      id: 'msg_1_refused',
      event: 'refused',
      service: 'shop',
      startedAt,
    })
    const spool = await leave(refusedEntry(event))
    const { read } = spool
    spool.read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5000))
      return read()
    }
    const { refuse, published } = createHarness(() => {}, { spool })
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(4999)
    expect(published).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(published).toEqual(['refused shop 1', 'refused shop 2'])
  })

  test('waits until ten seconds after a write, by the clock of the engine, before it counts as not written', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    const spool = await leave(entryOf(deployment, 'prepared', 1))
    swarm.clock = () => Date.parse(deployment.startedAt) + 9_999
    const { published, logger } = createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(120_000)
    expect(spool.records.size).toBe(1)
    swarm.clock = () => Date.parse(deployment.startedAt) + 10_000
    await vi.advanceTimersByTimeAsync(30_000)
    expect([spool.records.size, published, logger.lines]).toEqual([0, [], []])
  })

  test('reads from an unreachable engine at growing intervals', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const spool = await leave(entryOf(preparedOver(swarm, 'blog'), 'prepared', 1))
    swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
    createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(600_000)
    // Between 15 and 30 seconds each, after the first few.
    expect(swarm.calls.length).toBeGreaterThan(20)
    expect(swarm.calls.length).toBeLessThan(60)
  })

  test('does not delay the events of a service because of the events of another one', async () => {
    const refused = (id: string, service: string): JournalEntry =>
      refusedEntry(exampleEvent({ id, event: 'refused', service }))
    const spool = await leave(refused('msg_1_refused', 'shop'), refused('msg_2_refused', 'blog'))
    const { published } = createHarness(never, { spool })
    await vi.advanceTimersByTimeAsync(0)
    expect(published).toEqual(['refused shop 1', 'refused blog 2'])
  })

  test('that is stopped while it resolves a write publishes nothing, reads no more, and keeps the record', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const spool = await leave(entryOf(preparedOver(swarm, 'blog'), 'prepared', 1))
    swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
    const { stop, published } = createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(60_000)
    const reads = swarm.calls.length
    stop.abort()
    await vi.advanceTimersByTimeAsync(0)
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect([swarm.calls.length, published, spool.records.size]).toEqual([reads, [], 1])
  })

  test('stores that a write succeeded before it publishes that', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    swarm.onUpdate = 'none'
    const deployment = preparedOver(swarm, 'blog')
    const { versionIndex, startedAt } = deployment
    swarm.change('blog', (spec) => withRecord(spec, { versionIndex, startedAt }, []))
    const spool = await leave(entryOf(deployment, 'prepared', 1))
    spool.beforePut = () => new Promise((resolve) => setTimeout(resolve, 1000))
    const { published } = createHarness(never, { swarm, spool })
    await vi.advanceTimersByTimeAsync(999)
    expect(published).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(published).toEqual(['accepted blog 1'])
    expect(spool.values()).toMatchObject([{ state: 'committed' }])
  })

  test('looks at a deployment at once, though its events wait: later writes remove its traces', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    const { versionIndex, startedAt } = deployment
    swarm.change('blog', (spec) =>
      withRecord(withImage(spec, deployment.resolved), { versionIndex, startedAt }, []),
    )
    const at = new Date(Date.parse(startedAt) - 1000).toISOString()
    const refused = {
      id: 'msg_1_refused',
      event: 'refused',
      service: 'blog',
      startedAt: at,
    } as const
    const event = exampleEvent(refused)
    const spool = await leave(refusedEntry(event), entryOf(deployment, 'prepared', 2))
    const slowly = () => new Promise<void>((resolve) => setTimeout(resolve, 30_000))
    const { published } = createHarness(slowly, { swarm, spool })
    await vi.advanceTimersByTimeAsync(1000)
    expect(published).toEqual(['refused blog 1'])
    expect(spool.values()).toContainEqual(expect.objectContaining({ state: 'committed' }))
    swarm.change('blog', ({ Labels: _, ...spec }) => ({ ...spec, Labels: {} }))
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: 'b' } }))
    await vi.advanceTimersByTimeAsync(120_000)
    expect(published).toEqual(['refused blog 1', 'accepted blog 2', 'converged blog 2'])
  })

  test('reads a few services at the same time', async () => {
    const swarm = createFakeSwarm()
    const { inspectService } = swarm
    let running = 0
    let most = 0
    swarm.inspectService = async (name) => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 100))
      running -= 1
      return inspectService(name)
    }
    const names = Array.from({ length: 40 }, (_, at) => `app${at + 11}`)
    for (const name of names) {
      swarm.addService(name)
    }
    const entries = names.map((name, at) => entryOf(preparedOver(swarm, name), 'prepared', at + 1))
    const spool = await leave(...entries)
    createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(600)
    expect(most).toBe(8)
    expect(new Set(swarm.calls).size).toBe(40)
  })

  test('finds in the history that a write succeeded, where the service does not show it any more', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    // Two writes of others, which replaced all labels.
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: '1' } }))
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: '2' } }))
    for (const [entries, first] of [
      [[], 'unknown blog 1'],
      [[{ ...deployment, verdict: 'converged' as const }], 'accepted blog 1'],
    ] as const) {
      const spool = await leave(entryOf(deployment, 'prepared', 1))
      const history = { read: async () => entries }
      const { published } = createHarness(() => {}, { swarm, spool, history })
      // The history may get the entry of another process within that time.
      await vi.advanceTimersByTimeAsync(20_000)
      expect(published[0]).toBe(first)
    }
  })

  test('finds in the history that another deployment replaced the same version instead', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: '1' } }))
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: '2' } }))
    const other = { ...deployment, startedAt: new Date(0).toISOString() }
    for (const [entries, events] of [
      [[other], []],
      [[{ ...other, kind: 'outside' as const }], ['unknown blog 1']],
      [[{ ...other, versionIndex: other.versionIndex + 1 }], ['unknown blog 1']],
    ] as const) {
      const spool = await leave(entryOf(deployment, 'prepared', 1))
      const history = { read: async () => entries }
      const { published } = createHarness(() => {}, { swarm, spool, history })
      await vi.advanceTimersByTimeAsync(20_000)
      expect(published).toEqual(events)
    }
  })

  test('waits for the history, which another process writes some seconds later', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: '1' } }))
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: '2' } }))
    const other = { ...deployment, startedAt: new Date(0).toISOString() }
    let entries: readonly (typeof other)[] = []
    const spool = await leave(entryOf(deployment, 'prepared', 1))
    const { published } = createHarness(() => {}, {
      swarm,
      spool,
      history: { read: async () => entries },
    })
    await vi.advanceTimersByTimeAsync(6000)
    entries = [other]
    await vi.advanceTimersByTimeAsync(30_000)
    expect(published).toEqual([])
  })

  test('publishes unknown for a removed service, with the time of the engine', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const spool = await leave(entryOf(preparedOver(swarm, 'blog'), 'prepared', 1))
    swarm.remove('blog')
    swarm.clock = () => Date.parse('2030-01-01T00:00:00.000Z')
    const events: DeploymentEvent[] = []
    createHarness((event) => void events.push(event), { swarm, spool })
    await vi.advanceTimersByTimeAsync(0)
    expect(events).toMatchObject([{ event: 'unknown', endedAt: '2030-01-01T00:00:00.000Z' }])
  })

  test('publishes nothing twice when a request joins a deployment while its record is read', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    const spool = await leave(entryOf(deployment, 'published', 1))
    const { read } = spool
    spool.read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5000))
      return read()
    }
    const { publisher, deployments, published } = createHarness(() => {}, { swarm, spool })
    const known = deployments.register(deployments.inspect(deployment))
    const kept = [...spool.records.keys()]
    await publisher.publishAccepted(known, originOf(2))
    await vi.advanceTimersByTimeAsync(5000)
    expect(published.filter((line) => line.endsWith(' 2') || line.startsWith('accepted'))).toEqual(
      [],
    )
    expect([...spool.records.keys()]).toEqual(kept)
  })

  test('publishes a deployment once that was joined, and published, before its record could be read', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    swarm.onUpdate = 'none'
    const deployment = preparedOver(swarm, 'blog')
    const spool = await leave(entryOf(deployment, 'committed', 1))
    const { read } = spool
    spool.read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 90_000))
      return read()
    }
    const end: (() => void)[] = []
    const watch = {
      ...createHarness(() => {}, { swarm }).deployments.inspect(deployment),
      outcome: () => undefined,
      onEnded(listener: (outcome: Outcome) => void) {
        end.push(() => listener({ verdict: 'converged', endedAt: deployment.startedAt }))
        return () => {}
      },
    }
    const known = { deployment, id: deploymentId(deployment), watch }
    const { publisher, published } = createHarness(() => {}, { swarm, spool })
    await publisher.publishAccepted(known, originOf(2))
    await vi.advanceTimersByTimeAsync(89_999)
    expect(published).toEqual(['accepted blog 2'])
    await vi.advanceTimersByTimeAsync(1)
    expect(spool.records.size).toBe(1)
    for (const one of end) {
      one()
    }
    await vi.advanceTimersByTimeAsync(0)
    expect([published, spool.records.size]).toEqual([['accepted blog 2', 'converged blog 2'], 0])
  })

  test.each<[states: readonly DeploymentState[], accepted: readonly string[]]>([
    [['committed', 'published'], []],
    [['published', 'committed'], []],
    [['prepared', 'committed'], ['accepted blog 2']],
    [['committed', 'prepared'], ['accepted blog 2']],
  ])('of two records of a deployment, %j, publishes one', async (states, accepted) => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    const { versionIndex, startedAt } = deployment
    swarm.change('blog', (spec) => withRecord(spec, { versionIndex, startedAt }, []))
    const spool = await leave(...states.map((state, at) => entryOf(deployment, state, at + 1)))
    const { published } = createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(0)
    expect(published.filter((line) => line.startsWith('accepted'))).toEqual(accepted)
    expect(published).toHaveLength(accepted.length + 1)
    expect(spool.records.size).toBe(0)
  })

  test('publishes the events that another process leaves while this one runs', async () => {
    const { spool, published } = createHarness(() => {})
    await vi.advanceTimersByTimeAsync(0)
    const event = exampleEvent({ id: 'msg_7_refused', event: 'refused', service: 'shop' })
    const [[key = '', text = ''] = []] = (await leave(refusedEntry(event))).records
    spool.leave(key, JSON.parse(text))
    await vi.advanceTimersByTimeAsync(0)
    expect([published, spool.records.size]).toEqual([['refused shop 7'], 0])
  })

  test('publishes nothing that another process has taken over, and keeps its records', async () => {
    const takes: (() => void)[] = []
    const { publisher, deployments, refuse, spool, published, stop, logger } = createHarness(
      () =>
        new Promise<void>((resolve) => {
          takes.push(resolve)
        }),
    )
    await refuse('blog', 1)
    await publisher.publishAccepted(
      deployments.addUnwritten(unwritten('blog', 'unchanged')),
      originOf(2),
    )
    await refuse('blog', 3)
    await vi.advanceTimersByTimeAsync(0)
    const kept = [...spool.records.keys()]
    for (const key of kept) {
      spool.foreign.add(key)
    }
    for (const take of takes) {
      take()
    }
    await vi.advanceTimersByTimeAsync(0)
    expect(published).toEqual(['refused blog 1'])
    expect([...spool.records.keys()]).toEqual(kept.slice(1))
    stop.abort()
    expect(logger.lines).toEqual([])
  })

  test('that ends before it has read the spool leaves stored events to the next process', async () => {
    for (const isGood of [true, false]) {
      const spool = createFakeSpool()
      spool.read = () => never() as Promise<never>
      spool.isGood = isGood
      const { refuse, stop, published } = createHarness(() => {}, { spool })
      await refuse('shop', 1)
      stop.abort()
      await vi.advanceTimersByTimeAsync(0)
      expect([published, spool.records.size]).toEqual(isGood ? [[], 1] : [['refused shop 1'], 0])
      expect(vi.getTimerCount()).toBe(0)
    }
  })
})

function withImage(spec: ServiceSpec, Image: string): ServiceSpec {
  const { TaskTemplate } = spec
  const ContainerSpec = { ...TaskTemplate.ContainerSpec, Image }
  return { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } }
}
