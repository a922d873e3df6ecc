// Measures the memory of a thousand callers that wait for a rollout that does not end.

import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedLab } from '../lab/lab.ts'
import { type DeployerProcess, startDeployer } from './deployer-process.ts'
import { createFleet } from './fleet.ts'
import type { Section } from './report.ts'

const CALLERS = 1000
const MOST_MIB = 60
const WAIT_SECONDS = 600
const SECONDS_AT_REST = 5
const UNSATISFIABLE = ['--constraint=node.labels.bench==nowhere']

const NOTES = `- Half of the callers \`PUT\` the same image, the others \`GET\` the deployment, all with \`?wait\`, on
  a service that no node can run, so that they wait until it is removed. Idle is \`VmRSS\` after a few
  deployments; with the callers it is the peak (\`VmHWM\`) of the process.`

/**
 * Measures the memory of a Deployer with waiting callers, compared with its memory before.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureWaiting(lab: SharedLab): Promise<Section> {
  const deployer = await startDeployer(lab)
  try {
    const idle = await idleMemory(lab, deployer)
    const waiting = await waitingMemory(lab, deployer)
    const row = {
      what: `Resident memory with ${CALLERS} callers waiting`,
      deployer: `${waiting.toFixed(1)} MiB`,
      peer: `${idle.toFixed(1)} MiB`,
      ratio: waiting / idle,
      limit: { text: `≤ ${MOST_MIB} MiB more`, holds: waiting - idle <= MOST_MIB },
    }
    return { title: 'Waiting for a verdict', peer: 'Idle', rows: [row], notes: NOTES }
  } finally {
    await deployer.stop()
  }
}

/** Measures after a few deployments, because the code of a new process is not compiled yet. */
async function idleMemory(lab: SharedLab, deployer: DeployerProcess): Promise<number> {
  const fleet = await createFleet(lab, { name: 'idle', size: 1 })
  const side = deployer.connect(1, { waitSeconds: WAIT_SECONDS })
  await fleet.deploy(side, { services: 1, times: 5 })
  side.close()
  await fleet.remove()
  return (await deployer.memory()).resident
}

/** Half of the callers deploy the same image; the others request that deployment. */
async function waitingMemory(lab: SharedLab, deployer: DeployerProcess): Promise<number> {
  const fleet = await createFleet(lab, { name: 'stuck', size: 1, args: UNSATISFIABLE })
  await lab.engine.docker('service', 'scale', '--detach', 'stuck-0=1')
  const client = deployer.client(CALLERS)
  const body = JSON.stringify({ image: fleet.nextImage('stuck-0') })
  const deploy = (query: string) => client.call('PUT', `/service/stuck-0${query}`, body)
  const { deploymentId } = JSON.parse((await deploy('')).text)
  const get = (query: string) => client.call('GET', `/deployments/${deploymentId}${query}`)
  const answers = Array.from({ length: CALLERS }, (_, index) =>
    (index % 2 === 0 ? deploy : get)(`?wait=${WAIT_SECONDS}`),
  )
  try {
    await atRest(deployer)
    // The removal ends the rollout, so that all waiting callers get a response.
    await fleet.remove()
    const ends = (await Promise.all(answers)).filter(({ status }) => status === 410)
    if (ends.length < CALLERS) throw new Error(`Only ${ends.length} callers were waiting`)
    return (await deployer.memory()).residentAtMost
  } finally {
    client.close()
  }
}

/** Waits until the memory has not grown for some seconds. */
async function atRest(deployer: DeployerProcess): Promise<void> {
  let most = 0
  for (let still = 0; still < SECONDS_AT_REST; still += 1) {
    await sleep(1000)
    const { residentAtMost } = await deployer.memory()
    if (residentAtMost > most) still = 0
    most = residentAtMost
  }
}
