// The history of a service on a real engine: two Deployers, changes by Docker's command line, a service that
// is removed and created again, and the end of a process.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { ALLOWED, type LabDeployer, removeServices, startLabDeployer } from './lab-deployer.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

type Entry = Readonly<Record<string, unknown>>

const lab = sharedLab()
const v1 = lab.image('lab/app:v1')
const v2 = lab.image('lab/app:v2')
let first: LabDeployer
let second: LabDeployer

beforeAll(async () => {
  ;[first, second] = await Promise.all([startLabDeployer(lab.engine), startLabDeployer(lab.engine)])
})

afterAll(async () => {
  await Promise.all([first.kill(), second.kill()])
  await removeServices(lab.engine)
})

async function create(name: string): Promise<string> {
  const { id } = await lab.createService({ name, image: v1, labels: ALLOWED })
  await lab.waitRunning(name, v1)
  return id
}

async function historyOf(deployer: LabDeployer, name: string): Promise<readonly Entry[]> {
  const { status, body } = await deployer.get(`/service/${name}/history`)
  expect(status).toBe(200)
  return body.deployments as readonly Entry[]
}

test('two Deployers have the same history, also of what Docker changed and after the service is gone', async () => {
  const id = await create('lasting')
  expect((await first.put('lasting?wait=50', v2)).status).toBe(200)
  await waitFor('the verdict in the history', async () => {
    const [entry] = await historyOf(second, 'lasting')
    return entry?.verdict === 'converged'
  })
  const [entry] = await historyOf(second, 'lasting')
  expect(entry).toMatchObject({
    image: v2,
    previous: expect.stringContaining(v1),
    kind: 'deploy',
    caller: 'token',
  })
  expect(await historyOf(first, id)).toEqual([entry])

  await lab.engine.docker('service', 'update', '--detach', '--label-add', 'a=1', 'lasting')
  await lab.engine.docker('service', 'update', '--detach', '--env-add', 'A=1', 'lasting')
  // A process shows what it has noted at once; the others show it when it is written.
  await waitFor('the change by Docker', async () => (await historyOf(second, id)).length === 2)
  const [outside] = await historyOf(second, 'lasting')
  expect(outside).toMatchObject({ kind: 'outside', caller: '', verdict: null })
  await lab.engine.docker('service', 'rollback', '--detach', 'lasting')

  await lab.engine.docker('service', 'rm', 'lasting')
  const other = await create('lasting')
  expect((await second.put('lasting?wait=50', v2)).status).toBe(200)
  const ids = (await historyOf(second, 'lasting')).map(({ deploymentId }) =>
    String(deploymentId).slice(0, 25),
  )
  expect(ids).toEqual([other, id, id])
  const { historyStore } = createDockerodeSwarm({ dockerHost: lab.engine.dockerHost })
  await waitFor('the note that the service is gone', async () => {
    const labels = (await historyStore.read(id))?.labels
    return labels?.['deployer.removedAt'] !== undefined
  })
  expect((await historyStore.read(other))?.labels['deployer.removedAt']).toBeUndefined()
})

test('an update has one event that reports a new spec', async () => {
  const id = await create('reporting')
  const events: ServiceEvent[] = []
  const stop = new AbortController()
  const swarm = createDockerodeSwarm({ dockerHost: lab.engine.dockerHost })
  const listener = {
    opened() {},
    changed: (event: ServiceEvent): void => void events.push(event),
  }
  swarm.watchServices(listener, { signal: stop.signal }).catch(() => {})
  await first.put('reporting?wait=50', v2)
  await first.put('reporting?wait=50', { force: true })
  await waitFor('the end of both', () =>
    events.some(({ updateState }) => updateState === 'completed'),
  )
  stop.abort()
  const own = events.filter(({ serviceId }) => serviceId === id)
  expect(
    own.filter(({ updateState, image }) => updateState === undefined || image !== undefined),
    JSON.stringify(own),
  ).toHaveLength(2)
})

test('what is not written yet is written when the process ends', async () => {
  const id = await create('ending')
  const deployer = await startLabDeployer(lab.engine)
  await deployer.put('ending?wait=50', v2)
  deployer.process.kill('SIGTERM')
  await deployer.process.ended()
  const { historyStore } = createDockerodeSwarm({ dockerHost: lab.engine.dockerHost })
  const labels = Object.values((await historyStore.read(id))?.labels ?? {})
  expect(labels.some((value) => value.includes('"verdict":"converged"'))).toBe(true)
})

test('the documented command removes the histories', async () => {
  const { docker } = lab.engine
  const listed = async (...filter: string[]): Promise<readonly string[]> =>
    (await docker('config', 'ls', '--quiet', ...filter)).split('\n').filter(Boolean)
  await create('documented')
  await first.put('documented?wait=50', v2)
  let histories: readonly string[] = []
  await waitFor('a history', async () => {
    histories = await listed('--filter', 'label=deployer.format')
    return histories.length > 0
  })
  await docker('config', 'rm', ...histories)
  // The Deployers of this file still run, and note what comes next in new ones.
  const left = await listed()
  expect(histories.filter((id) => left.includes(id))).toEqual([])
})
