import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type DeploymentKey, deploymentId } from '../../src/deployment/deployment.ts'
import { createHistoryRecorder } from '../../src/history/history-recorder.ts'
import {
  createOpenedDeployments,
  type OpenedDeployments,
} from '../../src/rollout/opened-deployments.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createVerdictHolds } from '../../src/rollout/verdict-holds.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

const MAX_IN_PROGRESS = 100

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface SetUp {
  readonly opened: OpenedDeployments
  /** An observation of a service whose rollout is in progress. */
  keyOf(index: number): DeploymentKey
}

function setUp(): SetUp {
  const swarm = createFakeSwarm()
  swarm.onUpdate = 'none'
  swarm.addService('blog')
  const { ID, Version } = swarm.service('blog')
  swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
    ...spec,
    TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v2' } },
  }))
  const startedMs = Date.now()
  const { signal } = new AbortController()
  const logger = createRecordingLogger()
  return {
    opened: createOpenedDeployments({
      ...{ swarm, logger, signal, evidenceLogs: true, rolloutTimeoutMs: 1_800_000 },
      events: createServiceEvents(swarm, { signal, logger }),
      readings: createServiceReadings(swarm, createNodeList(swarm)),
      holds: createVerdictHolds(),
      nodes: createNodeList(swarm),
      history: createHistoryRecorder({ store: undefined, logger, signal }),
    }),
    keyOf: (index) => ({
      ...{ serviceId: ID, versionIndex: Version.Index, unwritten: 'observed' },
      startedAt: new Date(startedMs + index).toISOString(),
    }),
  }
}

describe('the observations that callers opened by ID', () => {
  test('are limited to 100 at a time, without those of requests that the runtime has ended', async () => {
    const { opened, keyOf } = setUp()
    for (let index = 1; index <= MAX_IN_PROGRESS; index += 1) {
      await opened.open(keyOf(index))
    }
    await expect(opened.open(keyOf(101))).rejects.toMatchObject({ code: 'overloaded' })
    // As workerd does: nothing of the requests that opened them runs any more.
    vi.clearAllTimers()
    await vi.advanceTimersByTimeAsync(3000)
    const next = opened.open(keyOf(101))
    await vi.advanceTimersByTimeAsync(50)
    expect((await next).known.id).toBe(deploymentId(keyOf(101)))
  })
})
