// A notifier that breaks its word, and a clock that a test turns. What it is told of deployments is
// part of the behaviour suite.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Deployment, deploymentId } from '../../src/deployment/deployment.ts'
import { withRecord } from '../../src/deployment/deployment-record.ts'
import { DeployerError } from '../../src/errors.ts'
import {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
} from '../../src/notification/deployment-event.ts'
import {
  createJournal,
  type DeploymentState,
  type JournalEntry,
} from '../../src/notification/journal.ts'
import {
  createNotificationPublisher,
  type NotificationPublisher,
} from '../../src/notification/notification-publisher.ts'
import type { Notifier } from '../../src/notification/notifier.ts'
import { createDeployments, type Deployments } from '../../src/rollout/deployments.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import { exampleEvent } from '../support/example-event.ts'
import { createFakeSpool, type FakeSpool } from '../support/fake-spool.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger, type RecordingLogger } from '../support/recording-fakes.ts'

const METADATA = { commit: 'a1' }

interface Harness {
  readonly announcer: NotificationPublisher
  readonly deployments: Deployments
  readonly logger: RecordingLogger
  readonly swarm: FakeSwarm
  readonly spool: FakeSpool
  /** Ends the process. */
  readonly stop: AbortController
  /** What the notifier was told, such as `refused shop 1`: service, and number of the request. */
  readonly told: readonly string[]
  /** Refuses a request; gives back once it would outlive a crash. */
  refuse(service: string, number: number): Promise<void>
}

const stops = new Set<AbortController>()

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  for (const stop of stops) {
    stop.abort()
  }
  stops.clear()
  vi.useRealTimers()
})

function originOf(number: number) {
  return { messageId: String(number).padStart(32, '0'), caller: 'ci', metadata: METADATA }
}

interface HarnessOptions {
  readonly swarm?: FakeSwarm
  readonly spool?: FakeSpool
  readonly notifierEvents?: readonly DeploymentEventName[]
  /** What differs of all that is known of deployments. */
  readonly known?: Partial<Deployments>
}

function createHarness(notify: Notifier, options: HarnessOptions = {}): Harness {
  const { swarm = createFakeSwarm(), spool = createFakeSpool() } = options
  const { notifierEvents = deploymentEventNames, known } = options
  const stop = new AbortController()
  stops.add(stop)
  const { signal } = stop
  const logger = createRecordingLogger()
  const told: string[] = []
  const all = createDeployments({
    ...{ swarm, logger, signal, evidenceLogs: true, rolloutTimeoutMs: 1_800_000 },
    events: createServiceEvents(swarm, signal),
    readings: createServiceReadings(swarm, createNodeList(swarm)),
  })
  const deployments = { ...all, ...known }
  const announcer = createNotificationPublisher({
    ...{ spool, swarm, deployments, logger, signal, notifierEvents },
    notifier(event) {
      const number = Number(event.id.replace(/^msg_(\d+)_.*/, '$1'))
      told.push(`${event.event} ${event.service} ${number}`)
      return notify(event)
    },
  })
  return {
    ...{ announcer, deployments, logger, swarm, spool, stop, told },
    refuse: (service, number) =>
      announcer.publishRefused({
        ...{ service, image: 'me/app:v2', reason: `reason ${number}` },
        ...{ nowMs: Date.now(), origin: originOf(number) },
      }),
  }
}

function unwritten(service: string, why: 'unchanged' | 'superseded'): Deployment {
  return {
    ...{ service, serviceId: '4cdgfyky7ozwh3htjfw0d12qv', image: 'me/app:v2' },
    ...{ resolved: 'me/app:v2', previous: 'me/app:v2', forceUpdate: '0', versionIndex: 10 },
    ...{ startedAt: new Date(Date.now()).toISOString(), unwritten: why },
  }
}

/** A spool in which an earlier process has left something. */
async function leave(...entries: readonly JournalEntry[]): Promise<FakeSpool> {
  const spool = createFakeSpool()
  const journal = createJournal(spool, createRecordingLogger())
  for (const entry of entries) {
    await journal.put(entry)
  }
  return spool.copy()
}

function entryOf(deployment: Deployment, stage: DeploymentState, number: number): JournalEntry {
  return {
    ...{ stage, deployment, deploymentId: deploymentId(deployment), origin: originOf(number) },
  }
}

/** One that is about to be written over what a swarm has of a service. */
function intendedOf(swarm: FakeSwarm, name: string): Deployment {
  const { ID, Version } = swarm.service(name)
  const { unwritten: _, ...rest } = unwritten(name, 'unchanged')
  return { ...rest, serviceId: ID, versionIndex: Version.Index }
}

function never(): Promise<void> {
  return new Promise(() => {})
}

function undelivered({ lines }: RecordingLogger): readonly unknown[] {
  return lines.filter(({ message }) => message === 'message not delivered')
}

describe('a notifier that never ends', () => {
  test('is given up after a minute, logged with the event and the reason, and told what follows', async () => {
    const events: DeploymentEvent[] = []
    const { refuse, logger, told, spool, announcer } = createHarness((event) => {
      events.push(event)
      return events.length === 1 ? never() : undefined
    })
    await refuse('shop', 1)
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(59_999)
    expect(told).toEqual(['refused shop 1'])
    expect([undelivered(logger), spool.records.size]).toEqual([[], 2])
    await vi.advanceTimersByTimeAsync(1)
    expect(told).toEqual(['refused shop 1', 'refused shop 2'])
    expect(logger.lines).toEqual([
      {
        ...{ level: 'error', message: 'message not delivered' },
        ...events[0],
        reason: 'the notifier did not end within 60000 ms',
      },
    ])
    await announcer.idle()
    expect(spool.records.size).toBe(0)
  })

  test('holds up no other service', async () => {
    const { refuse, told } = createHarness(({ service }) =>
      service === 'shop' ? never() : undefined,
    )
    await refuse('shop', 1)
    await refuse('blog', 2)
    await refuse('shop', 3)
    await refuse('blog', 4)
    await vi.advanceTimersByTimeAsync(0)
    expect(told).toEqual(['refused shop 1', 'refused blog 2', 'refused blog 4'])
  })

  test('is told of the end when it was given up at the beginning, and again given up', async () => {
    const { announcer, deployments, told, logger, spool } = createHarness(never)
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    await announcer.publishAccepted(known, originOf(1))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(told).toEqual(['accepted blog 1', 'unchanged blog 1'])
    expect(spool.values()).toEqual([{ stage: 'told', deploymentId: known.id, origin: originOf(1) }])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(undelivered(logger)).toHaveLength(2)
    expect(spool.records.size).toBe(0)
    await announcer.idle()
  })

  test('disturbs nobody when it fails after it was given up', async () => {
    const rejects: ((error: Error) => void)[] = []
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const { refuse, logger } = createHarness(
        () =>
          new Promise<void>((_, reject) => {
            rejects.push(reject)
          }),
      )
      await refuse('shop', 1)
      await vi.advanceTimersByTimeAsync(60_000)
      for (const reject of rejects) {
        reject(new Error('too late'))
      }
      vi.useRealTimers()
      await new Promise((resolve) => setTimeout(resolve, 0))
      expect(undelivered(logger)).toHaveLength(1)
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  test('leaves no timer behind when it ends in time', async () => {
    const { refuse, announcer } = createHarness(() => Promise.resolve())
    // It waited for what an earlier process left.
    await vi.advanceTimersByTimeAsync(0)
    const before = vi.getTimerCount()
    await refuse('shop', 1)
    await announcer.idle()
    expect(vi.getTimerCount()).toBe(before)
  })

  test('that ends within the minute is not given up', async () => {
    const { refuse, told, logger } = createHarness(
      () => new Promise((resolve) => setTimeout(resolve, 59_000)),
    )
    await refuse('shop', 1)
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(118_000)
    expect(told).toHaveLength(2)
    expect(undelivered(logger)).toEqual([])
  })
})

describe('a notifier that fails', () => {
  test.each<[how: string, notify: Notifier, reason: string]>([
    [
      'throws at once',
      () => {
        throw new Error('away')
      },
      'away',
    ],
    ['rejects', () => Promise.reject(new Error('away')), 'away'],
    ['rejects with what is no error', () => Promise.reject('gone'), 'gone'],
    ['rejects with nothing', () => Promise.reject(), 'undefined'],
  ])('and %s is logged with the event and the reason, and told what follows', async (...row) => {
    const [, notify, reason] = row
    const events: DeploymentEvent[] = []
    const { refuse, logger, told, spool, announcer } = createHarness((event) => {
      events.push(event)
      return events.length === 1 ? notify(event) : undefined
    })
    await refuse('shop', 1)
    await refuse('shop', 2)
    await announcer.idle()
    expect(told).toEqual(['refused shop 1', 'refused shop 2'])
    expect(logger.lines).toEqual([
      { level: 'error', message: 'message not delivered', ...events[0], reason },
    ])
    await vi.advanceTimersByTimeAsync(0)
    expect(spool.records.size).toBe(0)
  })
})

describe('an announcer', () => {
  test('tells of a service one thing after the other, whenever it comes in', async () => {
    const takes: (() => void)[] = []
    const { refuse, told } = createHarness(
      () =>
        new Promise<void>((resolve) => {
          takes.push(resolve)
        }),
    )
    await refuse('shop', 1)
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(0)
    takes[0]?.()
    await vi.advanceTimersByTimeAsync(0)
    await refuse('shop', 3)
    await vi.advanceTimersByTimeAsync(0)
    expect(told).toEqual(['refused shop 1', 'refused shop 2'])
    takes[1]?.()
    await vi.advanceTimersByTimeAsync(0)
    expect(told).toEqual(['refused shop 1', 'refused shop 2', 'refused shop 3'])
  })

  test('tells what an earlier process left first, however long it takes to read', async () => {
    const startedAt = new Date(Date.now() - 1000).toISOString()
    const event = exampleEvent({
      id: 'msg_1_refused',
      event: 'refused',
      service: 'shop',
      startedAt,
    })
    const spool = await leave({ event })
    const { read } = spool
    spool.read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5000))
      return read()
    }
    const { refuse, told } = createHarness(() => {}, { spool })
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(4999)
    expect(told).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(told).toEqual(['refused shop 1', 'refused shop 2'])
  })

  test('logs it when it fails itself, and tells what follows', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('shop')
    const spool = await leave(entryOf(intendedOf(swarm, 'shop'), 'told', 1))
    const fault = new Error('out of memory')
    const known = {
      register() {
        throw fault
      },
    }
    const { refuse, told, logger } = createHarness(() => {}, { swarm, spool, known })
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(0)
    expect(told).toEqual(['refused shop 2'])
    expect(logger.lines).toEqual([
      { level: 'error', message: 'deployment not told', err: fault, service: 'shop' },
    ])
    // Whoever comes next may have more luck.
    expect(spool.records.size).toBe(1)
  })

  test('keeps a deployment that a later one overtook once, and tells its end alone', async () => {
    const { announcer, deployments, spool, told } = createHarness(() => {})
    await announcer.publishAccepted(
      deployments.addUnwritten(unwritten('blog', 'superseded')),
      originOf(1),
    )
    await vi.advanceTimersByTimeAsync(0)
    expect(told).toEqual(['superseded blog 1'])
    expect(spool.calls.map((call) => call.split(' ')[0])).toEqual(['put', 'remove'])
  })

  test('waits ten seconds for a write that the engine may still be at, by its clock', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = intendedOf(swarm, 'blog')
    const spool = await leave(entryOf(deployment, 'intended', 1))
    swarm.clock = () => Date.parse(deployment.startedAt) + 9_999
    const { told, logger } = createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(120_000)
    expect(spool.records.size).toBe(1)
    swarm.clock = () => Date.parse(deployment.startedAt) + 10_000
    await vi.advanceTimersByTimeAsync(30_000)
    expect([spool.records.size, told, logger.lines]).toEqual([0, [], []])
  })

  test('looks at an engine that is away less and less often', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const spool = await leave(entryOf(intendedOf(swarm, 'blog'), 'intended', 1))
    swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
    createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(600_000)
    // Between 15 and 30 seconds each, after the first few.
    expect(swarm.calls.length).toBeGreaterThan(20)
    expect(swarm.calls.length).toBeLessThan(60)
  })

  test('is not held up at the start by what an earlier process left of another service', async () => {
    const refused = (id: string, service: string): JournalEntry => ({
      event: exampleEvent({ id, event: 'refused', service }),
    })
    const spool = await leave(refused('msg_1_refused', 'shop'), refused('msg_2_refused', 'blog'))
    const { told } = createHarness(never, { spool })
    await vi.advanceTimersByTimeAsync(0)
    expect(told).toEqual(['refused shop 1', 'refused blog 2'])
  })

  test('that ends while it finds something out tells nothing, asks no more, and keeps it', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const spool = await leave(entryOf(intendedOf(swarm, 'blog'), 'intended', 1))
    swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
    const { stop, told } = createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(60_000)
    const looks = swarm.calls.length
    stop.abort()
    await vi.advanceTimersByTimeAsync(0)
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect([swarm.calls.length, told, spool.records.size]).toEqual([looks, [], 1])
  })

  test('keeps that a write came through before it tells of it', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    swarm.onUpdate = 'none'
    const deployment = intendedOf(swarm, 'blog')
    const { versionIndex, startedAt } = deployment
    swarm.change('blog', (spec) => withRecord(spec, { versionIndex, startedAt }, []))
    const spool = await leave(entryOf(deployment, 'intended', 1))
    spool.beforePut = () => new Promise((resolve) => setTimeout(resolve, 1000))
    const { told } = createHarness(never, { swarm, spool })
    await vi.advanceTimersByTimeAsync(999)
    expect(told).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(told).toEqual(['accepted blog 1'])
    expect(spool.values()).toMatchObject([{ stage: 'accepted' }])
  })

  test('tells of a service that is gone when it saw that, by the engine’s clock', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const spool = await leave(entryOf(intendedOf(swarm, 'blog'), 'intended', 1))
    swarm.remove('blog')
    swarm.clock = () => Date.parse('2030-01-01T00:00:00.000Z')
    const events: DeploymentEvent[] = []
    createHarness((event) => void events.push(event), { swarm, spool })
    await vi.advanceTimersByTimeAsync(0)
    expect(events).toMatchObject([{ event: 'unknown', endedAt: '2030-01-01T00:00:00.000Z' }])
  })

  test('finds out what became of a lost write in its turn', async () => {
    const { announcer, swarm, refuse, told } = createHarness(
      () => new Promise((resolve) => setTimeout(resolve, 5000)),
    )
    swarm.addService('blog')
    const deployment = intendedOf(swarm, 'blog')
    await refuse('blog', 1)
    const intention = await announcer.prepare(deployment, originOf(2))
    swarm.remove('blog')
    intention.uncertain()
    await vi.advanceTimersByTimeAsync(4999)
    expect(told).toEqual(['refused blog 1'])
    await vi.advanceTimersByTimeAsync(1)
    expect(told).toEqual(['refused blog 1', 'unknown blog 2'])
  })

  test('tells once of a deployment that several requests join at the same time', async () => {
    const { announcer, deployments, swarm, told } = createHarness(() => {})
    swarm.addService('blog')
    const known = deployments.register(deployments.inspect(intendedOf(swarm, 'blog')))
    await Promise.all([1, 2, 3].map((number) => announcer.publishAccepted(known, originOf(number))))
    await vi.advanceTimersByTimeAsync(0)
    expect(told.filter((line) => line.startsWith('accepted'))).toEqual(['accepted blog 1'])
  })

  test.each<[differs: Partial<Deployment>, kept: number]>([
    [{}, 1],
    [{ image: 'docker.io/me/app:v2', resolved: 'other', previous: 'other', forceUpdate: '1' }, 1],
    [{ versionIndex: 11 }, 2],
    [{ startedAt: '2026-01-01T00:00:00.000Z' }, 2],
    [{ serviceId: '5cdgfyky7ozwh3htjfw0d12qv' }, 2],
    [{ unwritten: 'unchanged' }, 2],
  ])('takes one that differs by %j for the same or another deployment', async (differs, kept) => {
    const { announcer, deployments, spool } = createHarness(never)
    const { unwritten: _, ...deployment } = unwritten('blog', 'unchanged')
    const one = deployments.register(deployments.inspect(deployment))
    const second = { ...deployment, ...differs }
    const other =
      second.unwritten === undefined
        ? deployments.register(deployments.inspect(second))
        : deployments.addUnwritten(second)
    await announcer.publishAccepted(one, originOf(1))
    await announcer.publishAccepted(other, originOf(2))
    expect(spool.records.size).toBe(kept)
  })

  test('tells of each of two requests that changed nothing in the same millisecond', async () => {
    const { announcer, deployments, told } = createHarness(() => {})
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    await Promise.all([1, 2].map((number) => announcer.publishAccepted(known, originOf(number))))
    await vi.advanceTimersByTimeAsync(0)
    expect(told.toSorted()).toEqual([
      ...['accepted blog 1', 'accepted blog 2'],
      ...['unchanged blog 1', 'unchanged blog 2'],
    ])
  })

  test('tells nothing anew of a deployment that is joined while its entry is being read', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = intendedOf(swarm, 'blog')
    const spool = await leave(entryOf(deployment, 'told', 1))
    const { read } = spool
    spool.read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5000))
      return read()
    }
    const { announcer, deployments, told } = createHarness(() => {}, { swarm, spool })
    const known = deployments.register(deployments.inspect(deployment))
    const kept = [...spool.records.keys()]
    await announcer.publishAccepted(known, originOf(2))
    await vi.advanceTimersByTimeAsync(5000)
    expect(told.filter((line) => line.endsWith(' 2') || line.startsWith('accepted'))).toEqual([])
    expect([...spool.records.keys()]).toEqual(kept)
  })

  test('that never learns what an earlier process left holds up no request, and tells after a minute', async () => {
    const spool = createFakeSpool()
    spool.read = () => never() as Promise<never>
    const { announcer, deployments, refuse, told } = createHarness(() => {}, { spool })
    await announcer.publishAccepted(
      deployments.addUnwritten(unwritten('blog', 'unchanged')),
      originOf(1),
    )
    await refuse('shop', 2)
    expect(spool.records.size).toBe(2)
    await vi.advanceTimersByTimeAsync(59_999)
    expect(told).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(told.toSorted()).toEqual(['accepted blog 1', 'refused shop 2', 'unchanged blog 1'])
    expect(spool.records.size).toBe(0)
  })

  test('tells a deployment that was joined, and told, before its entry could be read no second time', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    swarm.onUpdate = 'none'
    const deployment = intendedOf(swarm, 'blog')
    const spool = await leave(entryOf(deployment, 'accepted', 1))
    const { read } = spool
    spool.read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 90_000))
      return read()
    }
    const ended: (() => void)[] = []
    const known = {
      ...createHarness(() => {}).deployments.addUnwritten(unwritten('blog', 'unchanged')),
      ...{ deployment, id: deploymentId(deployment), outcome: () => undefined },
      ended: new Promise<{ verdict: 'converged'; endedAt: string }>((resolve) => {
        ended.push(() => resolve({ verdict: 'converged', endedAt: deployment.startedAt }))
      }),
    }
    const { announcer, told } = createHarness(() => {}, { swarm, spool })
    await announcer.publishAccepted(known, originOf(2))
    await vi.advanceTimersByTimeAsync(89_999)
    expect(told).toEqual(['accepted blog 2'])
    await vi.advanceTimersByTimeAsync(1)
    expect(spool.records.size).toBe(1)
    ended[0]?.()
    await vi.advanceTimersByTimeAsync(0)
    expect([told, spool.records.size]).toEqual([['accepted blog 2', 'converged blog 2'], 0])
  })

  test.each<[stages: readonly DeploymentState[], accepted: readonly string[]]>([
    [['accepted', 'told'], []],
    [['told', 'accepted'], []],
    [['intended', 'accepted'], ['accepted blog 2']],
    [['accepted', 'intended'], ['accepted blog 2']],
  ])('of two entries of a deployment, %j, tells one', async (stages, accepted) => {
    const swarm = createFakeSwarm()
    swarm.addService('blog')
    const deployment = intendedOf(swarm, 'blog')
    const { versionIndex, startedAt } = deployment
    swarm.change('blog', (spec) => withRecord(spec, { versionIndex, startedAt }, []))
    const spool = await leave(...stages.map((stage, at) => entryOf(deployment, stage, at + 1)))
    const { told } = createHarness(() => {}, { swarm, spool })
    await vi.advanceTimersByTimeAsync(0)
    expect(told.filter((line) => line.startsWith('accepted'))).toEqual(accepted)
    expect(told).toHaveLength(accepted.length + 1)
    expect(spool.records.size).toBe(0)
  })

  test('tells what another process leaves while this one runs', async () => {
    const { spool, told } = createHarness(() => {})
    await vi.advanceTimersByTimeAsync(0)
    const event = exampleEvent({ id: 'msg_7_refused', event: 'refused', service: 'shop' })
    const [[key = '', text = ''] = []] = (await leave({ event })).records
    spool.leave(key, JSON.parse(text))
    await vi.advanceTimersByTimeAsync(0)
    expect([told, spool.records.size]).toEqual([['refused shop 7'], 0])
  })

  test('tells nothing of what another process has taken over, and leaves it there', async () => {
    const takes: (() => void)[] = []
    const { announcer, deployments, refuse, spool, told, stop, logger } = createHarness(
      () =>
        new Promise<void>((resolve) => {
          takes.push(resolve)
        }),
    )
    await refuse('blog', 1)
    await announcer.publishAccepted(
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
    expect(told).toEqual(['refused blog 1'])
    expect([...spool.records.keys()]).toEqual(kept.slice(1))
    stop.abort()
    expect(logger.lines).toEqual([])
  })

  test('that ends before it learns what an earlier process left leaves what is kept to the next', async () => {
    for (const isGood of [true, false]) {
      const spool = createFakeSpool()
      spool.read = () => never() as Promise<never>
      spool.isGood = isGood
      const { refuse, stop, told } = createHarness(() => {}, { spool })
      await refuse('shop', 1)
      stop.abort()
      await vi.advanceTimersByTimeAsync(0)
      expect([told, spool.records.size]).toEqual(isGood ? [[], 1] : [['refused shop 1'], 0])
      expect(vi.getTimerCount()).toBe(0)
    }
  })

  test.each<[what: string, act: (harness: Harness) => Promise<unknown>]>([
    ['is refused', ({ refuse }) => refuse('blog', 1)],
    [
      'is accepted',
      ({ announcer, deployments }) =>
        announcer.publishAccepted(
          deployments.addUnwritten(unwritten('blog', 'unchanged')),
          originOf(1),
        ),
    ],
    [
      'is about to be written',
      ({ announcer, swarm }) => announcer.prepare(intendedOf(swarm, 'blog'), originOf(1)),
    ],
  ])('keeps what %s before it says so, or tells of it', async (_, act) => {
    const harness = createHarness(() => {})
    const { swarm, spool, told } = harness
    swarm.addService('blog')
    spool.beforePut = () => new Promise((resolve) => setTimeout(resolve, 1000))
    let isDone = false
    const done = act(harness).then(() => {
      isDone = true
    })
    await vi.advanceTimersByTimeAsync(999)
    expect([isDone, told]).toEqual([false, []])
    await vi.advanceTimersByTimeAsync(1)
    await done
  })

  test('keeps that something was written before it says so, or tells of it', async () => {
    const { announcer, deployments, swarm, spool, told } = createHarness(() => {})
    swarm.addService('blog')
    swarm.onUpdate = 'none'
    const deployment = intendedOf(swarm, 'blog')
    const intention = await announcer.prepare(deployment, originOf(1))
    spool.beforePut = () => new Promise((resolve) => setTimeout(resolve, 1000))
    let isDone = false
    void intention.committed(deployments.create(deployment, swarm.service('blog'))).then(() => {
      isDone = true
    })
    await vi.advanceTimersByTimeAsync(999)
    expect([isDone, told]).toEqual([false, []])
    await vi.advanceTimersByTimeAsync(1)
    expect([isDone, told[0]]).toEqual([true, 'accepted blog 1'])
  })

  test.each<[what: string, options: HarnessOptions, warnings: number]>([
    ['whose end is still to be told', {}, 1],
    ['whose end nobody wants to hear of', { notifierEvents: ['accepted'] }, 0],
  ])('says at the end that nobody will tell of one %s, unless it is kept', async (...row) => {
    const [, options, warnings] = row
    for (const isGood of [true, false]) {
      for (const isLate of [true, false]) {
        const { announcer, deployments, logger, spool, stop } = createHarness(never, options)
        spool.isGood = isGood
        const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
        const intention = await announcer.prepare(known.deployment, originOf(1))
        if (isLate) {
          stop.abort()
        }
        await intention.committed(known)
        await vi.advanceTimersByTimeAsync(0)
        stop.abort()
        const lines = logger.lines.filter(({ message }) => message === 'verdict will not be told')
        expect([isGood, isLate, lines.length]).toEqual([isGood, isLate, isGood ? 0 : warnings])
      }
    }
  })

  test('says nothing at the end of one of which all is told', async () => {
    const { announcer, deployments, logger, spool, stop } = createHarness(() => {})
    await announcer.publishAccepted(
      deployments.addUnwritten(unwritten('blog', 'unchanged')),
      originOf(1),
    )
    await vi.advanceTimersByTimeAsync(0)
    expect(spool.records.size).toBe(0)
    stop.abort()
    expect(logger.lines).toEqual([])
  })

  test('is idle once the notifier is done with all that it was told', async () => {
    let take = (): void => {}
    const { refuse, announcer } = createHarness(
      () =>
        new Promise<void>((resolve) => {
          take = resolve
        }),
    )
    await announcer.idle()
    await refuse('shop', 1)
    let isIdle = false
    const idle = announcer.idle().then(() => {
      isIdle = true
    })
    await vi.advanceTimersByTimeAsync(1000)
    expect(isIdle).toBe(false)
    take()
    await idle
  })

  test('without a notifier keeps nothing and does nothing', async () => {
    const swarm = createFakeSwarm()
    const logger = createRecordingLogger()
    const spool = createFakeSpool()
    const { signal } = new AbortController()
    const { deployments } = createHarness(() => {})
    const announcer = createNotificationPublisher({
      ...{ notifier: undefined, notifierEvents: deploymentEventNames },
      ...{ spool, swarm, deployments, logger, signal },
    })
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    const intention = await announcer.prepare(known.deployment, originOf(1))
    await intention.committed(known)
    intention.aborted()
    intention.uncertain()
    await announcer.publishAccepted(known, originOf(1))
    await announcer.publishRefused({
      ...{ service: 'shop', image: '', reason: '', nowMs: 0, origin: originOf(2) },
    })
    await announcer.idle()
    expect([spool.calls, swarm.calls, logger.lines]).toEqual([[], [], []])
    expect(known.id).toBe(deploymentId(known.deployment))
  })
})
