// Two Deployers on two of three managers: the leader is killed three times, and nodes are paused and drained,
// while callers deploy. A key is deployed once, and a deployment has one verdict.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, raiseCluster } from './cluster.ts'
import {
  expectTruth,
  runStorm,
  type StormProcesses,
  startStormProcesses,
} from './deployment-storm.ts'
import type { Engine } from './engine.ts'
import { ALLOWED } from './lab-deployer.ts'
import { waitFor } from './wait.ts'

const DEPLOYMENTS = 500
const LEADER_KILLS = 3
const DEAD_MS = 15_000
const SERVICES = Array.from({ length: 10 }, (_, n) => `three-${n}`)
// The others have no task: their rollouts end at once, so that the load is on Deployer.
const SERVICES_WITH_TASKS = 3

let cluster: Cluster
let processes: StormProcesses

beforeAll(async () => {
  cluster = await raiseCluster({ managers: 2, workers: 1 })
  const { lab, managers } = cluster
  const image = lab.image('lab/app:v1')
  for (const [n, name] of SERVICES.entries()) {
    const replicas = n < SERVICES_WITH_TASKS ? 2 : 0
    await lab.createService({ name, image, labels: ALLOWED, replicas })
  }
  processes = await startStormProcesses(lab, managers.slice(0, 2))
})

afterAll(async () => {
  await processes?.close()
  await cluster?.down()
})

interface NodeInfo {
  readonly ID: string
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Addr: string }
}

/** The manager that leads, and the node that is no manager, once the managers have a leader. */
async function readNodes(): Promise<{ readonly leader: Engine; readonly worker: string }> {
  return waitFor(
    'the managers to have a leader',
    async () => {
      for (const asked of cluster.managers) {
        const answer = await asked.request('GET', '/nodes').catch(() => undefined)
        if (answer?.status !== 200) continue
        const nodes: readonly NodeInfo[] = JSON.parse(answer.text)
        const address = nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader)?.ManagerStatus
          ?.Addr
        const leader = cluster.managers.find((one) => one.swarmAddress() === address)
        const worker = nodes.find(({ ManagerStatus }) => ManagerStatus === undefined)?.ID
        if (leader !== undefined && worker !== undefined) return { leader, worker }
      }
      return false
    },
    { timeoutMs: 120_000 },
  )
}

async function setAvailability(availability: string): Promise<void> {
  const { leader, worker } = await readNodes()
  await leader.docker('node', 'update', `--availability=${availability}`, worker)
}

test('each key has one deployment, and each deployment has one verdict', async () => {
  const { lab } = cluster
  let kills = 0
  const result = await runStorm({
    ...{ lab, processes, deployments: DEPLOYMENTS, services: SERVICES },
    async disturb(reached) {
      for (const [n, availability] of ['pause', 'drain', 'active'].entries()) {
        await reached((n + 0.2) / LEADER_KILLS)
        await setAvailability(availability)
        await reached((n + 0.5) / LEADER_KILLS)
        const { leader } = await readNodes()
        await leader.kill()
        kills += 1
        // A Deployer whose manager is dead answers 503. The other managers elect a leader meanwhile.
        await pause(DEAD_MS)
        await leader.start()
      }
    },
  })
  expect(kills).toBe(LEADER_KILLS)
  expectTruth(result, DEPLOYMENTS)
}, 900_000)

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
