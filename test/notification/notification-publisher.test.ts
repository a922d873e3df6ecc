// Events in order for each service, and a notifier that does not keep its contract. Which events are
// published is part of the behaviour suite.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Deployment, deploymentId, isFinal } from '../../src/deployment/deployment.ts'
import { NO_HISTORY } from '../../src/history/deployment-history.ts'
import {
  type DeploymentEvent,
  deploymentEventNames,
} from '../../src/notification/deployment-event.ts'
import { createNotificationPublisher } from '../../src/notification/notification-publisher.ts'
import type { Notifier } from '../../src/notification/notifier.ts'
import { createFakeSpool } from '../support/fake-spool.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import {
  createHarness,
  entryOf,
  type Harness,
  leave,
  never,
  originOf,
  preparedOver,
  stopPublishers,
  undelivered,
  unwritten,
} from '../support/publisher-harness.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  stopPublishers()
  vi.useRealTimers()
})

describe('a notifier that never resolves', () => {
  test('is given up after a minute and logged with the event and the reason; the next event follows', async () => {
    const events: DeploymentEvent[] = []
    const { refuse, logger, published, spool, publisher } = createHarness((event) => {
      events.push(event)
      return events.length === 1 ? never() : undefined
    })
    await refuse('shop', 1)
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(59_999)
    expect(published).toEqual(['refused shop 1'])
    expect([undelivered(logger), spool.records.size]).toEqual([[], 2])
    await vi.advanceTimersByTimeAsync(1)
    expect(published).toEqual(['refused shop 1', 'refused shop 2'])
    expect(logger.lines).toEqual([
      {
        ...{
          level: 'error',
          message: 'message not delivered; it is kept, and sent again at the next start',
        },
        ...events[0],
        reason: 'the notifier did not end within 60000 ms',
      },
    ])
    await publisher.idle()
    expect(spool.values()).toEqual([{ event: events[0] }])
  })

  test('does not delay the events of other services', async () => {
    const { refuse, published } = createHarness(({ service }) =>
      service === 'shop' ? never() : undefined,
    )
    await refuse('shop', 1)
    await refuse('blog', 2)
    await refuse('shop', 3)
    await refuse('blog', 4)
    await vi.advanceTimersByTimeAsync(0)
    expect(published).toEqual(['refused shop 1', 'refused blog 2', 'refused blog 4'])
  })

  test('also receives the end of a deployment whose first event timed out', async () => {
    const { publisher, deployments, published, logger, spool } = createHarness(never)
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    await publisher.publishAccepted(known, originOf(1))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(published).toEqual(['accepted blog 1', 'unchanged blog 1'])
    expect(spool.values()).toMatchObject([
      { state: 'published', deployment: known.deployment, origin: originOf(1) },
      { event: { event: 'accepted' } },
    ])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(undelivered(logger)).toHaveLength(2)
    expect(spool.values()).toMatchObject([
      { event: { event: 'unchanged' } },
      { event: { event: 'accepted' } },
    ])
    await publisher.idle()
  })

  test('causes no unhandled rejection when it rejects after it was given up', async () => {
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

  test('leaves no timer behind when it resolves in time', async () => {
    const { refuse, publisher } = createHarness(() => Promise.resolve())
    // It waited for the records of an earlier process.
    await vi.advanceTimersByTimeAsync(0)
    const before = vi.getTimerCount()
    await refuse('shop', 1)
    await publisher.idle()
    expect(vi.getTimerCount()).toBe(before)
  })

  test('is not given up when it resolves within the minute', async () => {
    const { refuse, published, logger } = createHarness(
      () => new Promise((resolve) => setTimeout(resolve, 59_000)),
    )
    await refuse('shop', 1)
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(118_000)
    expect(published).toHaveLength(2)
    expect(undelivered(logger)).toEqual([])
  })
})

describe('a notifier that fails', () => {
  test.each<[how: string, notify: Notifier, reason: string]>([
    [
      'throws at once',
      () => {
        throw new Error('unreachable')
      },
      'unreachable',
    ],
    ['rejects', () => Promise.reject(new Error('unreachable')), 'unreachable'],
    ['rejects with a string', () => Promise.reject('closed'), 'closed'],
    ['rejects with nothing', () => Promise.reject(), 'undefined'],
  ])('and %s is logged with the event and the reason; the next event follows', async (...row) => {
    const [, notify, reason] = row
    const events: DeploymentEvent[] = []
    const { refuse, logger, published, spool, publisher } = createHarness((event) => {
      events.push(event)
      return events.length === 1 ? notify(event) : undefined
    })
    await refuse('shop', 1)
    await refuse('shop', 2)
    await publisher.idle()
    expect(published).toEqual(['refused shop 1', 'refused shop 2'])
    expect(logger.lines).toEqual([
      {
        level: 'error',
        message: 'message not delivered; it is kept, and sent again at the next start',
        ...events[0],
        reason,
      },
    ])
    await vi.advanceTimersByTimeAsync(0)
    expect(spool.values()).toEqual([{ event: events[0] }])
  })

  test('receives the events again from the next process, in order, with the same IDs, once each', async () => {
    const failed: DeploymentEvent[] = []
    const fail = (event: DeploymentEvent): never => {
      failed.push(event)
      throw new Error('unreachable')
    }
    const { publisher, deployments, spool } = createHarness(fail)
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    await publisher.publishAccepted(known, originOf(1))
    await publisher.idle()
    expect(failed.map(({ event }) => event)).toEqual(['accepted', 'unchanged'])
    const events: DeploymentEvent[] = []
    const left = spool.copy()
    const next = createHarness((event) => void events.push(event), { spool: left })
    await vi.advanceTimersByTimeAsync(0)
    await next.publisher.idle()
    expect(events).toEqual(failed)
    expect(left.records.size).toBe(0)
  })

  test('loses no first event when it takes the end of the deployment', async () => {
    const { publisher, deployments, spool } = createHarness(({ event }) => {
      if (event === 'accepted') {
        throw new Error('unreachable')
      }
    })
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    await publisher.publishAccepted(known, originOf(1))
    await publisher.idle()
    expect(spool.values()).toMatchObject([{ event: { event: 'accepted' } }])
    const next = createHarness(() => {}, { spool: spool.copy() })
    await vi.advanceTimersByTimeAsync(0)
    expect(next.published).toEqual(['accepted blog 1'])
    expect(next.spool.records.size).toBe(0)
  })

  test.each<[what: string, act: (harness: Harness) => void]>([
    ['without a spool that survives', ({ spool }) => Object.assign(spool, { isGood: false })],
    ['after a week', () => void vi.setSystemTime(Date.now() + 7 * 24 * 3_600_000 + 1)],
  ])('loses an event %s', async (_, act) => {
    const harness = createHarness(() => Promise.reject(new Error('unreachable')))
    const { refuse, logger, publisher, spool } = harness
    const refused = refuse('shop', 1)
    act(harness)
    await refused
    await publisher.idle()
    await vi.advanceTimersByTimeAsync(0)
    expect(logger.lines).toMatchObject([{ message: 'message not delivered' }])
    expect(spool.records.size).toBe(0)
  })
})

describe('a publisher', () => {
  test('publishes the events of a service one after the other', async () => {
    const takes: (() => void)[] = []
    const { refuse, published } = createHarness(
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
    expect(published).toEqual(['refused shop 1', 'refused shop 2'])
    takes[1]?.()
    await vi.advanceTimersByTimeAsync(0)
    expect(published).toEqual(['refused shop 1', 'refused shop 2', 'refused shop 3'])
  })

  test('logs an internal failure, keeps the record, and publishes later events', async () => {
    const swarm = createFakeSwarm()
    swarm.addService('shop')
    const spool = await leave(entryOf(preparedOver(swarm, 'shop'), 'published', 1))
    const fault = new Error('out of memory')
    const known = {
      register() {
        throw fault
      },
    }
    const { refuse, published, logger } = createHarness(() => {}, { swarm, spool, known })
    await refuse('shop', 2)
    await vi.advanceTimersByTimeAsync(0)
    expect(published).toEqual(['refused shop 2'])
    expect(logger.lines).toEqual([
      { level: 'error', message: 'deployment events not published', err: fault, service: 'shop' },
    ])
    // The next process tries again.
    expect(spool.records.size).toBe(1)
  })

  test('stores a superseded deployment once, and publishes only its end', async () => {
    const { publisher, deployments, spool, published } = createHarness(() => {})
    await publisher.publishAccepted(
      deployments.addUnwritten(unwritten('blog', 'superseded')),
      originOf(1),
    )
    await vi.advanceTimersByTimeAsync(0)
    expect(published).toEqual(['superseded blog 1'])
    expect(spool.calls.map((call) => call.split(' ')[0])).toEqual(['put', 'remove'])
  })

  test('publishes the acceptance of a deployment once when several requests join it at the same time', async () => {
    const { publisher, deployments, swarm, published } = createHarness(() => {})
    swarm.addService('blog')
    const known = deployments.register(deployments.inspect(preparedOver(swarm, 'blog')))
    await Promise.all([1, 2, 3].map((number) => publisher.publishAccepted(known, originOf(number))))
    await vi.advanceTimersByTimeAsync(0)
    expect(published.filter((line) => line.startsWith('accepted'))).toEqual(['accepted blog 1'])
  })

  test.each<[differs: Partial<Deployment>, kept: number]>([
    [{}, 1],
    [{ image: 'docker.io/me/app:v2', resolved: 'other', previous: 'other', forceUpdate: '1' }, 1],
    [{ versionIndex: 11 }, 2],
    [{ startedAt: '2026-01-01T00:00:00.000Z' }, 2],
    [{ serviceId: '5cdgfyky7ozwh3htjfw0d12qv' }, 2],
    [{ unwritten: 'unchanged' }, 2],
    [{ unwritten: 'observed' }, 2],
  ])(
    'treats a deployment that differs by %j as the same or as another one',
    async (differs, kept) => {
      const { publisher, deployments, spool } = createHarness(never)
      const { unwritten: _, ...deployment } = unwritten('blog', 'unchanged')
      const one = deployments.register(deployments.inspect(deployment))
      const second: Deployment = { ...deployment, ...differs }
      const other = isFinal(second)
        ? deployments.addUnwritten(second)
        : deployments.register(deployments.inspect(second))
      await publisher.publishAccepted(one, originOf(1))
      await publisher.publishAccepted(other, originOf(2))
      expect(spool.records.size).toBe(kept)
    },
  )

  test('publishes the events of two requests that changed nothing in the same millisecond', async () => {
    const { publisher, deployments, published } = createHarness(() => {})
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    await Promise.all([1, 2].map((number) => publisher.publishAccepted(known, originOf(number))))
    await vi.advanceTimersByTimeAsync(0)
    expect(published.toSorted()).toEqual([
      ...['accepted blog 1', 'accepted blog 2'],
      ...['unchanged blog 1', 'unchanged blog 2'],
    ])
  })

  test('that cannot read the spool delays no request, and publishes after a minute', async () => {
    const spool = createFakeSpool()
    spool.read = () => never() as Promise<never>
    const { publisher, deployments, refuse, published } = createHarness(() => {}, { spool })
    await publisher.publishAccepted(
      deployments.addUnwritten(unwritten('blog', 'unchanged')),
      originOf(1),
    )
    await refuse('shop', 2)
    expect(spool.records.size).toBe(2)
    await vi.advanceTimersByTimeAsync(59_999)
    expect(published).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(published.toSorted()).toEqual(['accepted blog 1', 'refused shop 2', 'unchanged blog 1'])
    expect(spool.records.size).toBe(0)
  })

  test.each<[what: string, act: (harness: Harness) => Promise<unknown>]>([
    ['is rejected', ({ refuse }) => refuse('blog', 1)],
    [
      'is accepted',
      ({ publisher, deployments }) =>
        publisher.publishAccepted(
          deployments.addUnwritten(unwritten('blog', 'unchanged')),
          originOf(1),
        ),
    ],
    [
      'is about to be written',
      ({ publisher, swarm }) => publisher.prepare(preparedOver(swarm, 'blog'), originOf(1)),
    ],
  ])('stores a request that %s before it resolves or publishes it', async (_, act) => {
    const harness = createHarness(() => {})
    const { swarm, spool, published } = harness
    swarm.addService('blog')
    spool.beforePut = () => new Promise((resolve) => setTimeout(resolve, 1000))
    let isDone = false
    const done = act(harness).then(() => {
      isDone = true
    })
    await vi.advanceTimersByTimeAsync(999)
    expect([isDone, published]).toEqual([false, []])
    await vi.advanceTimersByTimeAsync(1)
    await done
  })

  test('logs nothing at the end about a deployment whose events are published', async () => {
    const { publisher, deployments, logger, spool, stop } = createHarness(() => {})
    await publisher.publishAccepted(
      deployments.addUnwritten(unwritten('blog', 'unchanged')),
      originOf(1),
    )
    await vi.advanceTimersByTimeAsync(0)
    expect(spool.records.size).toBe(0)
    stop.abort()
    expect(logger.lines).toEqual([])
  })

  test('is idle once the notifier has resolved for all events', async () => {
    let take = (): void => {}
    const { refuse, publisher } = createHarness(
      () =>
        new Promise<void>((resolve) => {
          take = resolve
        }),
    )
    await publisher.idle()
    await refuse('shop', 1)
    let isIdle = false
    const idle = publisher.idle().then(() => {
      isIdle = true
    })
    await vi.advanceTimersByTimeAsync(1000)
    expect(isIdle).toBe(false)
    take()
    await idle
  })

  test('without a notifier stores nothing and does nothing', async () => {
    const swarm = createFakeSwarm()
    const logger = createRecordingLogger()
    const spool = createFakeSpool()
    const { signal } = new AbortController()
    const { deployments } = createHarness(() => {})
    const publisher = createNotificationPublisher({
      ...{ notifier: undefined, notifierEvents: deploymentEventNames },
      ...{ spool, swarm, deployments, logger, signal, history: NO_HISTORY },
    })
    const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
    const pending = await publisher.prepare(known.deployment, originOf(1))
    await pending.committed(known)
    pending.aborted()
    pending.uncertain()
    await publisher.publishAccepted(known, originOf(1))
    await publisher.publishRefused({
      ...{ service: 'shop', image: '', reason: '', nowMs: 0, origin: originOf(2) },
    })
    await publisher.idle()
    expect([spool.calls, swarm.calls, logger.lines]).toEqual([[], [], []])
    expect(known.id).toBe(deploymentId(known.deployment))
  })

  test('is idle once the notifier is', async () => {
    let resolve = (): void => {}
    const idle = (): Promise<void> =>
      new Promise<void>((done) => {
        resolve = done
      })
    const { refuse, publisher } = createHarness(Object.assign(() => {}, { idle }))
    await refuse('shop', 1)
    let isIdle = false
    const done = publisher.idle().then(() => {
      isIdle = true
    })
    await vi.advanceTimersByTimeAsync(1000)
    expect(isIdle).toBe(false)
    resolve()
    await done
  })

  test('is idle, and logs the reason, when the idle function of the notifier rejects', async () => {
    const idle = (): Promise<void> => Promise.reject(new Error('closed'))
    const { publisher, logger } = createHarness(Object.assign(() => {}, { idle }))
    await publisher.idle()
    expect(logger.lines).toEqual([{ level: 'error', message: 'notifier failed', reason: 'closed' }])
  })

  test('without a spool has no timers', () => {
    createHarness(() => {}, { spool: null })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('that waits for its spool lets the process end', () => {
    vi.useRealTimers()
    const timers = vi.spyOn(globalThis, 'setTimeout')
    try {
      const spool = createFakeSpool()
      spool.read = () => never() as Promise<never>
      createHarness(() => {}, { spool })
      const made = timers.mock.results.map(({ value }) => value as NodeJS.Timeout)
      expect(made.map((timer) => timer.hasRef())).toEqual([false])
    } finally {
      timers.mockRestore()
    }
  })
})
