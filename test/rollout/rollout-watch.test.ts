import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Deployment } from '../../src/deployment/deployment.ts'
import { withRecord } from '../../src/deployment/deployment-record.ts'
import type { EndVerdict } from '../../src/deployment/verdict.ts'
import { DeployerError } from '../../src/errors.ts'
import type { HistoryEntry } from '../../src/history/history-entry.ts'
import type { End } from '../../src/rollout/judgement.ts'
import { waitForEnd } from '../../src/rollout/known-deployment.ts'
import { type RolloutWatch, watchRollout } from '../../src/rollout/rollout-watch.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createVerdictHolds } from '../../src/rollout/verdict-holds.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import type { Service } from '../../src/swarm/service.ts'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import type { ServiceEvent, ServiceListener, Swarm } from '../../src/swarm/swarm.ts'
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
  /** Holds back the verdicts of the service, as an update does that is being sent. */
  hold(): () => void
  /** Starts to watch the deployment that was just written, or that another process has written. */
  watch(writer?: 'self' | 'another-process'): RolloutWatch
  /** Notes in the history how it ended, as another process does. */
  note(entry: Partial<HistoryEntry>): void
  /** How often the history was read. */
  historyReads(): number
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
  const entries: HistoryEntry[] = []
  const read = vi.fn(async (serviceId: string) => (serviceId === ID ? entries : []))
  const stop = new AbortController()
  const added = vi.spyOn(stop.signal, 'addEventListener')
  const removed = vi.spyOn(stop.signal, 'removeEventListener')
  const logger = createRecordingLogger()
  const tools = {
    ...{ swarm, logger, signal: stop.signal, evidenceLogs: true, rolloutTimeoutMs: 1_800_000 },
    events: createServiceEvents(swarm, { signal: stop.signal, logger }),
    readings: createServiceReadings(swarm, createNodeList(swarm)),
    holds: createVerdictHolds(),
    history: { read },
  }
  const written: Service = structuredClone(swarm.service('blog'))
  return {
    ...{ swarm, logger, stop },
    hold: () => tools.holds.hold(ID),
    listeners: () => added.mock.calls.length - removed.mock.calls.length,
    watch: (writer = 'self') =>
      watchRollout(deployment, tools, writer === 'self' ? written : undefined),
    note(entry) {
      const { versionIndex, startedAt } = deployment
      entries.push({ versionIndex, startedAt, ...entry })
    },
    historyReads: () => read.mock.calls.length,
  }
}

/** Another client writes another image, with the labels that it has. */
function overwrite(swarm: FakeSwarm, labels: Readonly<Record<string, string>> = {}): void {
  swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
    ...spec,
    Labels: { 'deployer.allowUpdates': 'true', ...labels },
    TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v9' } },
  }))
}

/** Another deployment is written, which records how this one ended. */
function recordVerdict(swarm: FakeSwarm, deployment: Deployment, verdict: EndVerdict): void {
  const { versionIndex, startedAt } = deployment
  const newest = { versionIndex: versionIndex + 1, startedAt }
  const record = [{ versionIndex, startedAt, verdict }]
  overwrite(swarm, withRecord(swarm.spec('blog'), newest, record).Labels ?? {})
}

function countCalls({ calls }: FakeSwarm, start: string): number {
  return calls.filter((call) => call.startsWith(start)).length
}

const SUPERSEDED: End = { kind: 'end', verdict: 'superseded', message: 'by the test' }
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

  test('has fixed its verdict before the logs of failed tasks are read: nothing replaces it', async () => {
    const reads: ((log: string) => void)[] = []
    const readTaskLog = (): Promise<string> => new Promise((resolve) => reads.push(resolve))
    const { swarm, hold, watch } = setUp({ readTaskLog })
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    swarm.rollout('blog').begin()
    swarm.rollout('blog').rollBack()
    await vi.advanceTimersByTimeAsync(0)
    expect([started.verdict(), started.outcome()]).toEqual(['rolled-back', undefined])
    const release = hold()
    started.end(SUPERSEDED)
    release()
    await vi.advanceTimersByTimeAsync(0)
    expect([started.verdict(), started.outcome()]).toEqual(['rolled-back', undefined])
    for (const resolve of reads) {
      resolve('out of memory')
    }
    await vi.advanceTimersByTimeAsync(0)
    const tasks = [{ log: 'out of memory' }]
    expect(started.outcome()).toMatchObject({ verdict: 'rolled-back', tasks })
  })

  test('reads the logs of failed tasks when an update ends it, with its verdict fixed before', async () => {
    const readTaskLog = async (): Promise<string> => 'out of memory'
    const { watch } = setUp({ readTaskLog })
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    const task = { taskId: 'one', slot: 1, node: 'node1', state: 'failed', error: '', exitCode: 1 }
    const failed = [task]
    started.end({ kind: 'end', verdict: 'failed', failed })
    expect(started.verdict()).toBe('failed')
    await vi.advanceTimersByTimeAsync(0)
    const tasks = [{ taskId: 'one', log: 'out of memory' }]
    expect(started.outcome()).toMatchObject({ verdict: 'failed', tasks })
  })

  test('ends as the update judged that was being sent when it found a verdict', async () => {
    const { swarm, hold, watch } = setUp()
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    swarm.rollout('blog').begin()
    const release = hold()
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(1000)
    expect([started.verdict(), started.outcome()]).toEqual([undefined, undefined])
    const before = swarm.calls.length
    started.end({ ...SUPERSEDED, failed: [] })
    release()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(started.outcome()).toMatchObject({ verdict: 'superseded', message: 'by the test' })
    expect(swarm.calls.length).toBe(before)
  })

  test('has the verdict that it found while an update was sent that was not applied', async () => {
    const { swarm, hold, watch } = setUp()
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    swarm.rollout('blog').begin()
    const releases = [hold(), hold()]
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(1000)
    // The update fails because another client writes first. The state that was judged is gone.
    overwrite(swarm)
    for (const release of releases) {
      expect(started.verdict()).toBeUndefined()
      release()
      await vi.advanceTimersByTimeAsync(0)
    }
    expect(started.outcome()?.verdict).toBe('converged')
  })

  test('has the verdict that an update recorded which was being sent when it found another one', async () => {
    const { swarm, hold, watch } = setUp()
    const { deployment, outcome } = watch('another-process')
    await vi.advanceTimersByTimeAsync(0)
    const release = hold()
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(1000)
    recordVerdict(swarm, deployment, 'superseded')
    release()
    await vi.advanceTimersByTimeAsync(1000)
    expect(outcome()?.verdict).toBe('superseded')
  })

  test('has the verdict that it found after a minute when an update was never done', async () => {
    const { swarm, hold, watch } = setUp()
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    hold()
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(59_000)
    expect(started.verdict()).toBeUndefined()
    await vi.advanceTimersByTimeAsync(1000)
    expect(started.outcome()?.verdict).toBe('converged')
  })

  test('has no verdict when the signal aborts while it is held back', async () => {
    const { swarm, stop, hold, watch } = setUp()
    const started = watch()
    await vi.advanceTimersByTimeAsync(0)
    const release = hold()
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(0)
    stop.abort()
    release()
    await vi.advanceTimersByTimeAsync(0)
    expect([started.verdict(), started.outcome()]).toEqual([undefined, undefined])
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

/** A stream whose events the test reports: those of the swarm are lost. */
function scriptedStream(): readonly [changes: Partial<Swarm>, listener: () => ServiceListener] {
  let current: ServiceListener | undefined
  const watchServices: Swarm['watchServices'] = (listener) => {
    current = listener
    listener.opened()
    return new Promise(() => {})
  }
  const listener = (): ServiceListener => current ?? expect.unreachable('no stream is open')
  return [{ watchServices }, listener]
}

describe('a watch after a gap', () => {
  const FAILURE = new DeployerError('engine-error', 'database is locked')

  test('still has the gap when its reading failed, and none any more after one that succeeded', async () => {
    for (const [failure, verdict] of [
      [FAILURE, 'unknown'],
      [undefined, 'superseded'],
    ] as const) {
      // A stream that opens reports a gap too.
      const { swarm, watch } = setUp(SILENT)
      swarm.rollout('blog').begin()
      swarm.failure = failure
      const { outcome } = watch('another-process')
      await vi.advanceTimersByTimeAsync(0)
      swarm.failure = undefined
      overwrite(swarm)
      await vi.advanceTimersByTimeAsync(10_000)
      expect(outcome()?.verdict).toBe(verdict)
    }
  })

  test('reads the service again at an event when the last reading failed', async () => {
    const [changes, listener] = scriptedStream()
    const { swarm, watch } = setUp(changes)
    const { deployment, outcome } = watch()
    await vi.advanceTimersByTimeAsync(0)
    swarm.failure = FAILURE
    swarm.rollout('blog').complete()
    listener().opened()
    await vi.advanceTimersByTimeAsync(0)
    swarm.failure = undefined
    // A restarted engine repeats it.
    listener().changed(updating(deployment.serviceId))
    await vi.advanceTimersByTimeAsync(0)
    expect(outcome()?.verdict).toBe('converged')
  })

  test('does not take an earlier event for the state of an update whose state it has read', async () => {
    const [changes, listener] = scriptedStream()
    const { swarm, watch } = setUp(changes)
    const { deployment, outcome } = watch()
    swarm.rollout('blog').beginRollBack()
    listener().opened()
    await vi.advanceTimersByTimeAsync(0)
    expect(outcome()).toBeUndefined()
    swarm.rollout('blog').completeRollBack()
    listener().changed(updating(deployment.serviceId))
    await vi.advanceTimersByTimeAsync(0)
    expect(outcome()?.verdict).toBe('rolled-back')
  })

  function updating(serviceId: string): ServiceEvent {
    return { serviceId, action: 'update', updateState: 'updating', timeMs: Date.now() }
  }
})

describe('a watch that the service shows nothing any more', () => {
  const ENDED_AT = '2026-01-02T03:04:05.000Z'

  test.each([
    ['written again', (swarm: FakeSwarm) => overwrite(swarm)],
    ['removed', (swarm: FakeSwarm) => swarm.remove('blog')],
  ])('has the verdict of the history when the service is %s', async (_, lose) => {
    for (const writer of ['self', 'another-process'] as const) {
      const { swarm, watch, note, historyReads } = setUp()
      lose(swarm)
      note({ verdict: 'failed', endedAt: ENDED_AT, error: 'failed: exit code 1' })
      const { outcome } = watch(writer)
      await vi.advanceTimersByTimeAsync(0)
      const message = 'failed: exit code 1'
      expect(outcome()).toEqual({ verdict: 'failed', endedAt: ENDED_AT, message })
      await vi.advanceTimersByTimeAsync(60_000)
      expect(historyReads()).toBe(1)
    }
  })

  test('has the verdict of the history when the service shows another one since', async () => {
    const { swarm, watch, note, historyReads } = setUp()
    swarm.rollout('blog').complete()
    note({ verdict: 'timed-out', endedAt: ENDED_AT })
    const [own, other] = [watch('self'), watch('another-process')]
    await vi.advanceTimersByTimeAsync(2000)
    expect([own.outcome()?.verdict, other.outcome()?.verdict]).toEqual(['converged', 'timed-out'])
    expect(historyReads()).toBe(1)
  })

  test.each([
    ['has no verdict', {}],
    ['is that of another write', { verdict: 'converged', versionIndex: 1 }],
    ['is that of another start', { verdict: 'converged', startedAt: ENDED_AT }],
  ] as const)('is judged by the service when the entry %s', async (_, entry) => {
    const { swarm, watch, note, historyReads } = setUp()
    note(entry)
    const own = watch()
    await vi.advanceTimersByTimeAsync(0)
    overwrite(swarm)
    const other = watch('another-process')
    await vi.advanceTimersByTimeAsync(0)
    expect([own.outcome()?.verdict, other.outcome()?.verdict]).toEqual(['superseded', 'unknown'])
    expect(historyReads()).toBe(2)
  })

  test('asks no history when the record has the verdict, or the service shows it', async () => {
    const { swarm, watch, note, historyReads } = setUp()
    const { deployment } = watch()
    note({ verdict: 'failed' })
    swarm.rollout('blog').complete()
    await vi.advanceTimersByTimeAsync(0)
    recordVerdict(swarm, deployment, 'superseded')
    const { outcome } = watch('another-process')
    await vi.advanceTimersByTimeAsync(0)
    expect([outcome()?.verdict, historyReads()]).toEqual(['superseded', 0])
  })
})
