import { afterAll, describe, expect, test } from 'vitest'
import { withRecord } from '../../src/deployment/deployment-record.ts'
import type { EndVerdict } from '../../src/deployment/verdict.ts'
import type { HistoryEntry } from '../../src/history/history-entry.ts'
import { createDeployments } from '../../src/rollout/deployments.ts'
import { judgePredecessors, type Predecessors } from '../../src/rollout/predecessors.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createVerdictHolds } from '../../src/rollout/verdict-holds.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

const stop = new AbortController()
afterAll(() => stop.abort())

interface SetUp {
  readonly swarm: FakeSwarm
  /** What this process notes in the histories. */
  readonly noted: readonly HistoryEntry[]
  /** The entry of the deployment that another process wrote, without a verdict. */
  readonly written: Pick<HistoryEntry, 'versionIndex' | 'startedAt'>
  isHeld(): boolean
  judge(): Promise<Predecessors>
}

/** A process that knows nothing of the deployment of `me/app:v2` that another process has written. */
function setUp(notedVerdict?: EndVerdict): SetUp {
  const swarm = createFakeSwarm()
  const { ID, Version } = swarm.addService('blog')
  const written = { versionIndex: Version.Index, startedAt: new Date().toISOString() }
  swarm.onUpdate = 'none'
  swarm.change('blog', ({ TaskTemplate, ...spec }) =>
    withRecord(
      { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v2' } } },
      written,
      [],
    ),
  )
  const entries = notedVerdict === undefined ? [] : [{ ...written, verdict: notedVerdict }]
  const logger = createRecordingLogger()
  const nodes = createNodeList(swarm)
  const { signal } = stop
  const holds = createVerdictHolds()
  const noted: HistoryEntry[] = []
  const history = {
    isOn: () => true,
    isNoted: () => false,
    note: (_: unknown, entry: HistoryEntry) => void noted.push(entry),
    read: async () => entries,
    flush: async () => {},
  }
  const watch = {
    ...{ swarm, logger, signal, holds, evidenceLogs: true, rolloutTimeoutMs: 1_800_000 },
    events: createServiceEvents(swarm, { signal, logger }),
    readings: createServiceReadings(swarm, nodes),
  }
  const tools = { ...watch, nodes, history, deployments: createDeployments(watch) }
  return {
    ...{ swarm, noted, written },
    isHeld: () => holds.isHeld(ID),
    judge: () =>
      judgePredecessors(structuredClone(swarm.service('blog')), { replacedBy: 'me/app:v3' }, tools),
  }
}

describe('the predecessor that another process wrote', () => {
  test('is judged on its last state; the verdict is noted once the update has succeeded', async () => {
    const { swarm, noted, written, isHeld, judge } = setUp()
    swarm.rollout('blog').complete()
    const { endings, end } = await judge()
    expect(endings).toEqual([{ ...written, verdict: 'converged' }])
    expect([noted, isHeld()]).toEqual([[], true])
    end()
    expect([noted, isHeld()]).toMatchObject([[{ ...written, verdict: 'converged' }], false])
  })

  test('is superseded while it is in progress, and the message names the image', async () => {
    const { swarm, noted, judge } = setUp()
    swarm.rollout('blog').begin()
    const { end } = await judge()
    end()
    const error = 'me/app:v3 was deployed before this one was done'
    expect(noted).toMatchObject([{ verdict: 'superseded', error }])
  })

  test('is not noted as unknown: another process may know more', async () => {
    const { swarm, noted, judge } = setUp()
    swarm.rollout('blog').complete()
    const startedMs = Date.now()
    swarm.clock = () => startedMs + 3_600_000
    swarm.rollout('blog').fail()
    swarm.clock = () => startedMs + 3_700_000
    const { endings, end } = await judge()
    end()
    expect([endings, noted]).toEqual([[], []])
  })

  test('keeps the verdict of the history', async () => {
    const { swarm, noted, written, judge } = setUp('failed')
    swarm.rollout('blog').complete()
    const { endings, end } = await judge()
    end()
    expect([endings, noted]).toEqual([[{ ...written, verdict: 'failed' }], []])
  })

  test('is not noted when the update was not applied, and no verdict is held back any more', async () => {
    const { noted, isHeld, judge } = setUp()
    const { release } = await judge()
    expect(isHeld()).toBe(true)
    release()
    expect([noted, isHeld()]).toEqual([[], false])
  })

  test('no verdict is held back any more when its tasks cannot be read', async () => {
    const { swarm, isHeld, judge } = setUp()
    swarm.failure = new Error('database is locked')
    await expect(judge()).rejects.toThrow('database is locked')
    expect(isHeld()).toBe(false)
  })
})
