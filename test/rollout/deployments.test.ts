import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { type Deployment, deploymentId } from '../../src/deployment/deployment.ts'
import type { EndVerdict } from '../../src/deployment/verdict.ts'
import { createDeployments, type Deployments } from '../../src/rollout/deployments.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createVerdictHolds } from '../../src/rollout/verdict-holds.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

const stop = new AbortController()
afterEach(() => void vi.restoreAllMocks())
afterAll(() => stop.abort())

const DAY_MS = 24 * 60 * 60 * 1000
const STARTED_AT = '2026-01-02T03:04:05.000Z'

interface SetUp {
  readonly deployments: Deployments
  /** Creates a deployment that has ended. */
  create(versionIndex: number, verdict: EndVerdict): Promise<Deployment>
}

function setUp(): SetUp {
  const swarm = createFakeSwarm()
  const logger = createRecordingLogger()
  const { signal } = stop
  const deployments = createDeployments({
    ...{ swarm, logger, signal, evidenceLogs: true, rolloutTimeoutMs: 1_800_000 },
    events: createServiceEvents(swarm, { signal, logger }),
    readings: createServiceReadings(swarm, createNodeList(swarm)),
    holds: createVerdictHolds(),
  })
  const service = swarm.addService('blog')
  return {
    deployments,
    async create(versionIndex, verdict) {
      const deployment: Deployment = {
        ...{ service: 'blog', serviceId: service.ID, image: 'me/app:v2', resolved: 'me/app:v2' },
        ...{ previous: 'me/app:v1', forceUpdate: '0', versionIndex, startedAt: STARTED_AT },
      }
      const known = deployments.create(deployment, service)
      if (!('watch' in known)) {
        throw new Error('The deployment is not watched')
      }
      known.watch.end({ kind: 'end', verdict })
      await new Promise<unknown>((resolve) => known.watch.onEnded(resolve))
      return deployment
    },
  }
}

describe('the deployments of a process', () => {
  test('are forgotten a day after their end', async () => {
    const { deployments, create } = setUp()
    const deployment = await create(1, 'failed')
    const id = deploymentId(deployment)
    const known = (): readonly unknown[] => [
      deployments.find(id)?.id,
      deployments.findByWrite(deployment)?.id,
      deployments.endings(deployment.serviceId).length,
    ]
    // The cache has the clock of before any fake timers.
    const endedAtMs = performance.now()
    const now = vi.spyOn(performance, 'now')
    now.mockReturnValue(endedAtMs + DAY_MS - 60_000)
    expect(known()).toEqual([id, id, 1])
    now.mockReturnValue(endedAtMs + DAY_MS + 1000)
    expect(known()).toEqual([undefined, undefined, 0])
  })

  test('have endings for the record, oldest first, without those whose verdict is unknown', async () => {
    const { deployments, create } = setUp()
    const { serviceId } = await create(1, 'failed')
    await create(2, 'unknown')
    await create(3, 'converged')
    expect(deployments.endings(serviceId)).toEqual([
      { versionIndex: 1, startedAt: STARTED_AT, verdict: 'failed' },
      { versionIndex: 3, startedAt: STARTED_AT, verdict: 'converged' },
    ])
  })
})
