// What is measured, row by row: latency, throughput, refusals, memory.

import type { SharedLab } from '../lab/lab.ts'
import { createBareEngine, type Side } from './bare-engine.ts'
import { startBareServer } from './bare-server-process.ts'
import { alternate, type Pair, percentile, sum } from './blocks.ts'
import { type DeployerProcess, putSide } from './deployer-process.ts'
import type { Fleet } from './fleet.ts'
import { type LoadResult, loadWithRefusals } from './refusal-load.ts'
import type { Row } from './report.ts'

/** What the measurements have in common. */
export interface Bench {
  readonly lab: SharedLab
  readonly deployer: DeployerProcess
  readonly fleet: Fleet
}

const LATENCY_RATIO = 1.25
const THROUGHPUT_RATIO = 0.9
const REFUSAL_RATIO = 0.8
const RESIDENT_MIB = 80

/**
 * Lets both sides deploy a little, unmeasured, so that both are compiled and connected.
 *
 * @param bench The lab and what runs in it.
 */
export async function warmUp(bench: Bench): Promise<void> {
  await withSides(bench, 16, async ({ deployer, bare }) => {
    await bench.fleet.deploy(deployer, { services: 16, times: 40 })
    await bench.fleet.deploy(bare, { services: 16, times: 40 })
  })
}

/**
 * How long one deployment takes, one at a time.
 *
 * @param bench The lab and what runs in it.
 * @returns Rows for the median and the slowest tenth.
 */
export async function measureLatency(bench: Bench): Promise<readonly Row[]> {
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

/**
 * How long one deployment takes through a plain forwarder: what one more hop costs on this machine.
 *
 * @param bench The lab and what runs in it.
 * @returns A row for the median, for information.
 */
export async function measureHop(bench: Bench): Promise<Row> {
  const { socketPath } = bench.lab.engine
  const forwarder = await startBareServer('forwarder', [socketPath])
  const sides = { deployer: putSide(forwarder.port, 1), bare: createBareEngine(socketPath, 1) }
  try {
    await bench.fleet.deploy(sides.deployer, { services: 1, times: 300 })
    const { count, median } = await compare(bench, sides)
    return { what: `The same through a plain forwarder, p50 of ${count}`, ...median }
  } finally {
    sides.deployer.close()
    sides.bare.close()
    await forwarder.stop()
  }
}

interface Comparison {
  readonly count: number
  readonly median: Times
  readonly slowest: Times
}

type Times = Pick<Row, 'deployer' | 'bare'> & { readonly ratio: number }

async function compare({ fleet }: Bench, sides: Pair<Side>): Promise<Comparison> {
  const block = (side: Side) => fleet.deploy(side, { services: 1, times: 10 })
  const pairs = await alternate(
    { deployer: () => block(sides.deployer), bare: () => block(sides.bare) },
    {
      ratio: ({ deployer, bare }) => percentile(deployer, 0.5) / percentile(bare, 0.5),
      atLeast: 40,
      atMost: 60,
    },
  )
  const deployer = pairs.flatMap((pair) => pair.deployer)
  const bare = pairs.flatMap((pair) => pair.bare)
  const times = (part: number): Times => {
    const [subject, peer] = [percentile(deployer, part), percentile(bare, part)]
    return {
      deployer: `${subject.toFixed(2)} ms`,
      bare: `${peer.toFixed(2)} ms`,
      ratio: subject / peer,
    }
  }
  return { count: deployer.length, median: times(0.5), slowest: times(0.9) }
}

/**
 * How many deployments a second come through, several at once.
 *
 * @param bench The lab and what runs in it.
 * @param atOnce How many services are deployed to at once.
 * @returns The row.
 */
export async function measureThroughput(bench: Bench, atOnce: number): Promise<Row> {
  const work = { services: atOnce, times: Math.ceil(192 / atOnce) }
  const perBlock = work.services * work.times
  const pairs = await withSides(bench, atOnce, (sides) => {
    const block = async (side: Side): Promise<number> => {
      const startedAt = performance.now()
      await bench.fleet.deploy(side, work)
      return performance.now() - startedAt
    }
    return alternate(
      { deployer: () => block(sides.deployer), bare: () => block(sides.bare) },
      { ratio: ({ deployer, bare }) => bare / deployer, atLeast: 6, atMost: 8 },
    )
  })
  const rate = (side: keyof Pair<unknown>): number =>
    (1000 * perBlock * pairs.length) / sum(pairs.map((pair) => pair[side]))
  const ratio = rate('deployer') / rate('bare')
  return {
    what: `${atOnce} at once, ${perBlock * pairs.length} deployments`,
    deployer: `${rate('deployer').toFixed(0)}/s`,
    bare: `${rate('bare').toFixed(0)}/s`,
    ratio,
    limit: { text: `≥ ${THROUGHPUT_RATIO}`, holds: ratio >= THROUGHPUT_RATIO },
  }
}

/**
 * How much memory Deployer holds after many deployments.
 *
 * @param bench The lab and what runs in it.
 * @param deployments How many more to make first, 16 at once.
 * @returns The row.
 */
export async function measureMemory(bench: Bench, deployments: number): Promise<Row> {
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

/**
 * How many requests with a wrong token are refused per second.
 *
 * @param bench The lab and what runs in it.
 * @returns The row.
 */
export async function measureRefusals({ deployer }: Bench): Promise<Row> {
  const bareServer = await startBareServer('bare-server')
  const block = (port: number) => loadWithRefusals(port, { connections: 32, milliseconds: 1000 })
  const rate = ({ answers, milliseconds }: LoadResult): number => (1000 * answers) / milliseconds
  try {
    const sides = { deployer: () => block(deployer.port), bare: () => block(bareServer.port) }
    await Promise.all([sides.deployer(), sides.bare()])
    const pairs = await alternate(sides, {
      ratio: (pair) => rate(pair.deployer) / rate(pair.bare),
      atLeast: 6,
      atMost: 8,
    })
    const total = (side: keyof Pair<unknown>): LoadResult => ({
      answers: sum(pairs.map((pair) => pair[side].answers)),
      milliseconds: sum(pairs.map((pair) => pair[side].milliseconds)),
    })
    const rates = { deployer: rate(total('deployer')), bare: rate(total('bare')) }
    const ratio = rates.deployer / rates.bare
    return {
      what: 'Refused requests',
      deployer: `${rates.deployer.toFixed(0)}/s`,
      bare: `${rates.bare.toFixed(0)}/s`,
      ratio,
      limit: { text: `≥ ${REFUSAL_RATIO}`, holds: ratio >= REFUSAL_RATIO },
    }
  } finally {
    await bareServer.stop()
  }
}

async function withSides<T>(
  { lab, deployer }: Bench,
  connections: number,
  work: (sides: Pair<Side>) => Promise<T>,
): Promise<T> {
  const sides = {
    deployer: deployer.connect(connections),
    bare: createBareEngine(lab.engine.socketPath, connections),
  }
  try {
    return await work(sides)
  } finally {
    sides.deployer.close()
    sides.bare.close()
  }
}
