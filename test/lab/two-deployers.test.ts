// Two Deployers on one engine: a key is deployed once, and a deployment has one verdict, whichever of them
// is asked, and however often they are killed.

import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectTruth,
  runStorm,
  type StormProcesses,
  startStormProcesses,
} from './deployment-storm.ts'
import { ALLOWED, removeServices } from './lab-deployer.ts'
import { sharedLab } from './shared-lab.ts'

const DEPLOYMENTS = 500
const KILLS = 5
const SERVICES = Array.from({ length: 10 }, (_, n) => `two-${n}`)
// The others have no task: their rollouts end at once, so that the load is on Deployer.
const SERVICES_WITH_TASK = 2

const lab = sharedLab()
let processes: StormProcesses

beforeAll(async () => {
  const image = lab.image('lab/app:v1')
  for (const [n, name] of SERVICES.entries()) {
    const replicas = n < SERVICES_WITH_TASK ? 1 : 0
    await lab.createService({ name, image, labels: ALLOWED, replicas })
  }
  processes = await startStormProcesses(lab, [lab.engine, lab.engine])
})

afterAll(async () => {
  await processes.close()
  await removeServices(lab.engine)
})

test('each key has one deployment, and each deployment has one verdict', async () => {
  const result = await runStorm({
    ...{ lab, processes, deployments: DEPLOYMENTS, services: SERVICES },
    async disturb(reached) {
      const order = Array.from({ length: 2 * KILLS }, (_, kill) => kill)
      for (const kill of order) {
        await reached((kill + Math.random()) / (order.length + 1))
        await processes.processes[kill % 2]?.restart()
      }
    },
  })
  expectTruth(result, DEPLOYMENTS)
  expect(processes.processes.map(({ kills }) => kills)).toEqual([KILLS, KILLS])
}, 900_000)
