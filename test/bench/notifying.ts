// What telling costs a deployment: with destinations that are away against none, and with a spool.

import { join } from 'node:path'
import type { SharedLab } from '../lab/lab.ts'
import { freePorts } from '../lab/ports.ts'
import { alternate, percentile } from './blocks.ts'
import { type DeployerProcess, startDeployer } from './deployer-process.ts'
import { createFleet, type Fleet } from './fleet.ts'
import type { Row, Section } from './report.ts'

const LATENCY_RATIO = 1.05

const NOTES = `- A \`PUT\` over one open connection to a service of 0 replicas, one at a time, on two Deployers in turn;
  the other one notifies nobody.
- *Two destinations, both down*: a beanstalkd and a webhook at ports where nobody listens, told of
  every event; the messages wait in memory.
- *A spool*: beside one beanstalkd that is up, with \`SPOOL_DIR\` on the disk of the machine's temporary
  folder. Before its answer a deployment is written and synced twice: before the engine hears of it,
  and once the engine has it.`

interface Deploying {
  readonly deployer: DeployerProcess
  readonly fleet: Fleet
}

/**
 * Measures what notifications cost a deployment.
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
  const none = await deploying(lab, 'tell-none', {})
  const all = [none]
  try {
    const away = await deploying(lab, 'tell-down', { NOTIFY_FLAGS: JSON.stringify(down) })
    all.push(away)
    const spooled = await deploying(lab, 'tell-spool', {
      NOTIFY_FLAGS: JSON.stringify(up),
      SPOOL_DIR: join(lab.directory, 'bench-spool'),
    })
    all.push(spooled)
    const first = await compare('Two destinations, both down', away, none)
    const holds = (first.ratio ?? Number.NaN) <= LATENCY_RATIO
    const rows = [
      { ...first, limit: { text: `≤ ${LATENCY_RATIO}`, holds } },
      await compare('A spool', spooled, none),
    ]
    return { title: 'Notifying', peer: 'Notifying nobody', rows, notes: NOTES }
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
    const ours = pairs.flatMap(({ deployer }) => deployer)
    const theirs = pairs.flatMap(({ peer }) => peer)
    const [our, their] = [percentile(ours, 0.5), percentile(theirs, 0.5)]
    return {
      what: `${what}, p50 of ${ours.length}`,
      deployer: `${our.toFixed(2)} ms`,
      peer: `${their.toFixed(2)} ms`,
      ratio: our / their,
    }
  } finally {
    sides.deployer.close()
    sides.peer.close()
  }
}
