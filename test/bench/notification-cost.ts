// Measures the cost of notifications: with unreachable destinations, and with a spool.

import { join } from 'node:path'
import type { SharedLab } from '../lab/lab.ts'
import { freePorts } from '../lab/ports.ts'
import { alternate, percentile } from './alternating-blocks.ts'
import { type DeployerProcess, startDeployer } from './deployer-process.ts'
import { createFleet, type Fleet } from './fleet.ts'
import type { Row, Section } from './report.ts'

const LATENCY_RATIO = 1.05

const NOTES = `- A \`PUT\` over one open connection to a service of 0 replicas, one at a time, on two Deployers in turn;
  the second one has no destinations.
- *Two destinations, both down*: a beanstalkd and a webhook with ports on which no program listens, for
  every event; the messages wait in memory.
- *A spool*: with one beanstalkd that is reachable, and \`SPOOL_DIR\` on the disk of the temporary
  directory. Before the response, a deployment is written and synced twice: before the update of the
  service, and after it.`

interface Deploying {
  readonly deployer: DeployerProcess
  readonly fleet: Fleet
}

/**
 * Measures the cost of notifications for a deployment.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureNotifying(lab: SharedLab): Promise<Section> {
  const [closed, alsoClosed] = await freePorts(2)
  const events = ['accepted', 'converged', 'superseded', 'unchanged', 'failed']
  const template = Buffer.from('{{.ServiceName}} {{.Event}} {{json .Error}}').toString('base64')
  const down = [
    { addr: `127.0.0.1:${closed}`, tube: 'down', template, events },
    { type: 'webhook', url: `http://127.0.0.1:${alsoClosed}/hook`, events },
  ]
  const up = [{ addr: lab.beanstalkd.address, tube: 'bench-spool', template, events }]
  const none = await deploying(lab, 'notify-none', {})
  const all = [none]
  try {
    const unreachable = await deploying(lab, 'notify-down', { NOTIFY_FLAGS: JSON.stringify(down) })
    all.push(unreachable)
    const spooled = await deploying(lab, 'notify-spool', {
      NOTIFY_FLAGS: JSON.stringify(up),
      SPOOL_DIR: join(lab.directory, 'bench-spool'),
    })
    all.push(spooled)
    const first = await compare('Two destinations, both down', unreachable, none)
    const holds = (first.ratio ?? Number.NaN) <= LATENCY_RATIO
    const rows = [
      { ...first, limit: { text: `≤ ${LATENCY_RATIO}`, holds } },
      await compare('A spool', spooled, none),
    ]
    return { title: 'Notifying', peer: 'No destinations', rows, notes: NOTES }
  } finally {
    for (const { deployer, fleet } of all) {
      await deployer.stop()
      await fleet.remove()
    }
  }
}

async function deploying(
  lab: SharedLab,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<Deploying> {
  const fleet = await createFleet(lab, { name, size: 1 })
  return { fleet, deployer: await startDeployer(lab, { env: { NOTIFY_FLAGS: '', ...env } }) }
}

async function compare(what: string, one: Deploying, other: Deploying): Promise<Row> {
  const sides = { deployer: one.deployer.connect(1), peer: other.deployer.connect(1) }
  const work = { services: 1, times: 10 }
  try {
    await one.fleet.deploy(sides.deployer, { services: 1, times: 300 })
    await other.fleet.deploy(sides.peer, { services: 1, times: 300 })
    const pairs = await alternate(
      {
        deployer: () => one.fleet.deploy(sides.deployer, work),
        peer: () => other.fleet.deploy(sides.peer, work),
      },
      {
        ratio: ({ deployer, peer }) => percentile(deployer, 0.5) / percentile(peer, 0.5),
        atLeast: 40,
        atMost: 80,
      },
    )
    const deployerTimes = pairs.flatMap(({ deployer }) => deployer)
    const peerTimes = pairs.flatMap(({ peer }) => peer)
    const [deployerMs, peerMs] = [percentile(deployerTimes, 0.5), percentile(peerTimes, 0.5)]
    return {
      what: `${what}, p50 of ${deployerTimes.length}`,
      deployer: `${deployerMs.toFixed(2)} ms`,
      peer: `${peerMs.toFixed(2)} ms`,
      ratio: deployerMs / peerMs,
    }
  } finally {
    sides.deployer.close()
    sides.peer.close()
  }
}
