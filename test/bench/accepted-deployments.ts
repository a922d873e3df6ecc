// Measures accepted deployments, compared with the engine calls alone: latency, throughput, memory.

import type { SharedLab } from '../lab/lab.ts'
import { alternate, type Pair, percentile, sum } from './alternating-blocks.ts'
import { createBareEngine, type Side } from './bare-engine.ts'
import { startBareServer } from './bare-server-process.ts'
import { type DeployerProcess, putSide, startDeployer } from './deployer-process.ts'
import { createFleet, type Fleet } from './fleet.ts'
import type { Row, Section } from './report.ts'

interface Bench {
  readonly lab: SharedLab
  readonly deployer: DeployerProcess
  readonly fleet: Fleet
}

const LATENCY_RATIO = 1.3
const THROUGHPUT_RATIO = 0.9
const RESIDENT_MIB = 80

const NOTES = `- *One at a time*: a \`PUT\` over one open connection, compared with the same engine calls (inspect the
  service, resolve the digest, update the service) over one open connection to the engine's socket. The
  service has 0 replicas and alternates between two images. Deployer also checks that a node can run
  the image, watches the rollout to its end and sends a message to beanstalkd.
- *The same through a plain forwarder*: the cost of one more hop on that machine, without token, log and
  message; no gateway can be faster.
- *16 and 64 at once*: the same on as many services and connections, in deployments per second.
- *Resident memory*: \`VmRSS\` of Deployer's process after the deployments; the peak is \`VmHWM\`.`

/**
 * Measures the cost of an accepted deployment.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureAccepting(lab: SharedLab): Promise<Section> {
  const fleet = await createFleet(lab, { name: 'bench', size: 64 })
  const deployer = await startDeployer(lab)
  const bench = { lab, deployer, fleet }
  try {
    await warmUp(bench)
    const latency = await measureLatency(bench)
    const [hop, hops] = await measureHop(bench)
    const rows = [
      ...latency,
      hop,
      await measureThroughput(bench, 16),
      hops,
      await measureThroughput(bench, 64),
      await measureMemory(bench, 2000),
    ]
    await checkMessages(bench)
    await fleet.remove()
    return { title: 'Accepting a deployment', peer: 'Bare', rows, notes: NOTES }
  } finally {
    await deployer.stop()
  }
}

/**
 * Both sides deploy without measurement, so that their code is compiled and their connections are
 * open.
 */
async function warmUp(bench: Bench): Promise<void> {
  await withSides(bench, 16, async ({ deployer, peer }) => {
    await bench.fleet.deploy(deployer, { services: 16, times: 40 })
    await bench.fleet.deploy(peer, { services: 16, times: 40 })
  })
}

/** Measures the latency of deployments, one at a time. */
async function measureLatency(bench: Bench): Promise<readonly Row[]> {
  const { count, median, slowest } = await withSides(bench, 1, (sides) => compare(bench, sides))
  const holds = median.ratio <= LATENCY_RATIO
  return [
    {
      what: `One at a time, p50 of ${count}`,
      ...median,
      limit: { text: `≤ ${LATENCY_RATIO}`, holds },
    },
    { what: `One at a time, p90 of ${count}`, ...slowest },
  ]
}

/** Measures the cost of one more hop on this machine, one at a time and 16 at once. */
async function measureHop(bench: Bench): Promise<readonly [Row, Row]> {
  const { socketPath } = bench.lab.engine
  const forwarder = await startBareServer('forwarder', [socketPath])
  const sides = { deployer: putSide(forwarder.port, 16), peer: createBareEngine(socketPath, 16) }
  try {
    await bench.fleet.deploy(sides.deployer, { services: 16, times: 40 })
    const { count, median } = await compare(bench, sides)
    const rates = await compareRates(bench, sides, 16)
    return [
      { what: `The same through a plain forwarder, p50 of ${count}`, ...median },
      { ...rates, what: `The same through a plain forwarder, ${rates.what}` },
    ]
  } finally {
    sides.deployer.close()
    sides.peer.close()
    await forwarder.stop()
  }
}

interface Comparison {
  readonly count: number
  readonly median: Times
  readonly slowest: Times
}

type Times = Pick<Row, 'deployer' | 'peer'> & { readonly ratio: number }

async function compare({ fleet }: Bench, sides: Pair<Side>): Promise<Comparison> {
  const block = (side: Side) => fleet.deploy(side, { services: 1, times: 10 })
  const pairs = await alternate(
    { deployer: () => block(sides.deployer), peer: () => block(sides.peer) },
    {
      ratio: ({ deployer, peer }) => percentile(deployer, 0.5) / percentile(peer, 0.5),
      atLeast: 40,
      atMost: 60,
    },
  )
  const deployer = pairs.flatMap((pair) => pair.deployer)
  const peer = pairs.flatMap((pair) => pair.peer)
  const times = (part: number): Times => {
    const [deployerMs, peerMs] = [percentile(deployer, part), percentile(peer, part)]
    return {
      deployer: `${deployerMs.toFixed(2)} ms`,
      peer: `${peerMs.toFixed(2)} ms`,
      ratio: deployerMs / peerMs,
    }
  }
  return { count: deployer.length, median: times(0.5), slowest: times(0.9) }
}

/** Measures deployments per second, several at once. */
async function measureThroughput(bench: Bench, atOnce: number): Promise<Row> {
  const row = await withSides(bench, atOnce, (sides) => compareRates(bench, sides, atOnce))
  const limit = { text: `≥ ${THROUGHPUT_RATIO}`, holds: row.ratio >= THROUGHPUT_RATIO }
  return { ...row, what: `${atOnce} at once, ${row.what}`, limit }
}

async function compareRates(
  { fleet }: Bench,
  sides: Pair<Side>,
  atOnce: number,
): Promise<Row & { readonly ratio: number }> {
  const work = { services: atOnce, times: Math.ceil(192 / atOnce) }
  const perBlock = work.services * work.times
  const block = async (side: Side): Promise<number> => {
    const startedAt = performance.now()
    await fleet.deploy(side, work)
    return performance.now() - startedAt
  }
  const pairs = await alternate(
    { deployer: () => block(sides.deployer), peer: () => block(sides.peer) },
    { ratio: ({ deployer, peer }) => peer / deployer, atLeast: 6, atMost: 8 },
  )
  const rate = (side: keyof Pair<unknown>): number =>
    (1000 * perBlock * pairs.length) / sum(pairs.map((pair) => pair[side]))
  return {
    what: `${perBlock * pairs.length} deployments`,
    deployer: `${rate('deployer').toFixed(0)}/s`,
    peer: `${rate('peer').toFixed(0)}/s`,
    ratio: rate('deployer') / rate('peer'),
  }
}

/** Measures the memory of Deployer after many deployments. */
async function measureMemory(bench: Bench, deployments: number): Promise<Row> {
  const side = bench.deployer.connect(16)
  await bench.fleet.deploy(side, { services: 16, times: Math.ceil(deployments / 16) })
  side.close()
  const { resident, residentAtMost } = await bench.deployer.memory()
  return {
    what: `Resident memory after ${bench.deployer.deployments()} deployments (peak ${residentAtMost.toFixed(1)} MiB)`,
    deployer: `${resident.toFixed(1)} MiB`,
    limit: { text: `≤ ${RESIDENT_MIB} MiB`, holds: resident <= RESIDENT_MIB },
  }
}

/** Checks that each deployment sent its message, which is part of its cost. */
async function checkMessages({ lab, deployer }: Bench): Promise<void> {
  const expected = deployer.deployments()
  const messages = await lab.beanstalkd.countJobs(deployer.tube)
  if (messages !== expected) {
    throw new Error(`${expected} deployments sent ${messages} messages to beanstalkd`)
  }
}

async function withSides<T>(
  { lab, deployer }: Bench,
  connections: number,
  work: (sides: Pair<Side>) => Promise<T>,
): Promise<T> {
  const sides = {
    deployer: deployer.connect(connections),
    peer: createBareEngine(lab.engine.socketPath, connections),
  }
  try {
    return await work(sides)
  } finally {
    sides.deployer.close()
    sides.peer.close()
  }
}
