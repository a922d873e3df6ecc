import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Deployment } from '../../src/deployment/deployment.ts'
import { waitForEnd } from '../../src/rollout/known-deployment.ts'
import { type RolloutWatch, watchRollout } from '../../src/rollout/rollout-watch.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createVerdictHolds } from '../../src/rollout/verdict-holds.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import type { Service } from '../../src/swarm/service.ts'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import type { Swarm } from '../../src/swarm/swarm.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger, type RecordingLogger } from '../support/recording-fakes.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

interface SetUp {
  readonly swarm: FakeSwarm
  readonly logger: RecordingLogger
  readonly stop: AbortController
  readonly listeners: () => number
  /** Starts to watch the deployment that was just written. */
  watch(): RolloutWatch
}

function setUp(changes: Partial<Swarm> = {}): SetUp {
  const swarm = Object.assign(createFakeSwarm(), changes)
  swarm.onUpdate = 'none'
  swarm.addService('blog')
  const { ID, Version } = swarm.service('blog')
  swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
    ...spec,
    TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v2' } },
  }))
  const deployment: Deployment = {
    ...{ service: 'blog', serviceId: ID, image: 'me/app:v2', resolved: 'me/app:v2' },
    ...{ previous: 'me/app:v1', forceUpdate: '0', versionIndex: Version.Index },
    startedAt: new Date().toISOString(),
  }
  const stop = new AbortController()
  const added = vi.spyOn(stop.signal, 'addEventListener')
  const removed = vi.spyOn(stop.signal, 'removeEventListener')
  const logger = createRecordingLogger()
  const tools = {
    ...{ swarm, logger, signal: stop.signal, evidenceLogs: true, rolloutTimeoutMs: 1_800_000 },
    events: createServiceEvents(swarm, { signal: stop.signal, logger }),
    readings: createServiceReadings(swarm, createNodeList(swarm)),
    holds: createVerdictHolds(),
  }
  const written: Service = structuredClone(swarm.service('blog'))
  return {
    ...{ swarm, logger, stop },
    listeners: () => added.mock.calls.length - removed.mock.calls.length,
    watch: () => watchRollout(deployment, tools, written),
  }
}

function countCalls({ calls }: FakeSwarm, start: string): number {
  return calls.filter((call) => call.startsWith(start)).length
}

const SILENT: Partial<Swarm> = { watchServices: () => new Promise(() => {}) }

describe('a watch', () => {
  test('reads the service every 3 s while no event stream is open', async () => {
    const { swarm, watch } = setUp(SILENT)
    const { outcome } = watch()
    await vi.advanceTimersByTimeAsync(0)
    swarm.rollout('blog').begin()
    await vi.advanceTimersByTimeAsync(30_000)
    const reads = countCalls(swarm, 'inspect')
    expect(reads).toBeGreaterThanOrEqual(30 / 5)
    expect(reads).toBeLessThanOrEqual(30 / 2)
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(4000)
    expect(outcome()?.verdict).toBe('converged')
  })

  test('reads the service only after events while an event stream is open', async () => {
    const { swarm, watch } = setUp()
    const { outcome } = watch()
    await vi.advanceTimersByTimeAsync(0)
    swarm.rollout('blog').begin()
    const before = countCalls(swarm, 'inspect')
    await vi.advanceTimersByTimeAsync(25_000)
    expect(countCalls(swarm, 'inspect')).toBe(before)
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(0)
    expect(outcome()?.verdict).toBe('converged')
  })

  test('starts again in another request when the runtime has ended its timers', async () => {
    const { swarm, watch } = setUp(SILENT)
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    vi.clearAllTimers()
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(started.outcome()).toBeUndefined()
    const ended = waitForEnd(
      { id: 'one', deployment: started.deployment, watch: started },
      { timeoutMs: 10_000, signals: [] },
    )
    await vi.advanceTimersByTimeAsync(50)
    await ended
    expect(started.outcome()?.verdict).toBe('converged')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('starts again during a wait that began before the runtime ended its timers', async () => {
    const { swarm, watch } = setUp(SILENT)
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    vi.clearAllTimers()
    const known = { id: 'one', deployment: started.deployment, watch: started }
    const ended = waitForEnd(known, { timeoutMs: 20_000, signals: [] })
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(4000)
    await ended
    expect(started.outcome()?.verdict).toBe('converged')
  })

  test('goes on when the clock of the swarm throws, and logs it', async () => {
    const { swarm, logger, watch } = setUp()
    const { outcome } = watch()
    await vi.advanceTimersByTimeAsync(0)
    const { now } = swarm
    swarm.now = () => {
      throw new Error('no clock')
    }
    swarm.rollout('blog').begin()
    await vi.advanceTimersByTimeAsync(30_000)
    expect(logger.lines.some(({ err }) => String(err) === 'Error: no clock')).toBe(true)
    expect(outcome()).toBeUndefined()
    swarm.now = now
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(outcome()?.verdict).toBe('converged')
  })

  test('has the verdict that it found before the signal aborted, while it still read logs', async () => {
    const reads: ((log: string) => void)[] = []
    const readTaskLog = (): Promise<string> => new Promise((resolve) => reads.push(resolve))
    const { swarm, stop, watch } = setUp({ readTaskLog })
    const { outcome } = watch()
    await vi.advanceTimersByTimeAsync(0)
    swarm.rollout('blog').begin()
    swarm.rollout('blog').rollBack()
    await vi.advanceTimersByTimeAsync(0)
    expect([reads.length > 0, outcome()]).toEqual([true, undefined])
    stop.abort()
    for (const resolve of reads) {
      resolve('out of memory')
    }
    await vi.advanceTimersByTimeAsync(0)
    expect(outcome()).toMatchObject({ verdict: 'rolled-back', tasks: [{ log: 'out of memory' }] })
  })

  test('leaves no timer and no listener behind when the signal aborts', async () => {
    const { stop, watch, listeners } = setUp()
    const one = watch()
    const other = watch()
    await vi.advanceTimersByTimeAsync(1000)
    expect(listeners()).toBe(1)
    stop.abort()
    watch()
    await vi.advanceTimersByTimeAsync(0)
    expect([one.outcome(), other.outcome()]).toEqual([undefined, undefined])
    expect([listeners(), vi.getTimerCount()]).toEqual([0, 0])
  })
})
