// Measures engine calls for a rollout, and the delay until its end is reported, compared with the
// Docker CLI.

import { join } from 'node:path'
import type { SharedLab } from '../lab/lab.ts'
import { type Pair, percentile, sum } from './alternating-blocks.ts'
import { type CountingSocket, openCountingSocket } from './counting-socket.ts'
import { startDeployer } from './deployer-process.ts'
import { updateByCli } from './docker-cli.ts'
import { createFleet, type Fleet } from './fleet.ts'
import type { Row, Section } from './report.ts'
import {
  countCalls,
  createServiceGroup,
  measureDelays,
  type Roller,
  type Rounds,
  type ServiceGroup,
} from './rollout-rounds.ts'

const MOST_CALLS = 10
const MOST_DELAY_MS = { p50: 50, p99: 250 }
const WAIT_SECONDS = 300

// A process of the CLI sends so many requests that many processes would slow the engine down.
const ONE_BY_ONE = { deployer: 20, cli: 5 }
const AT_ONCE = { deployer: 100, cli: 10 }
// Start-first makes rollouts short, and so does a monitor below Swarm's default of 5 s.
const START_FIRST = ['--update-order=start-first']
const SHORT_MONITOR = [...START_FIRST, '--update-monitor=500ms']
// With the long monitor, the engine has started all containers before the first rollout completes.
const LONG_MONITOR = [...START_FIRST, '--update-monitor=10s']
const DEFAULT_MONITOR = [...START_FIRST, '--update-monitor=5s']

const NOTES = `- Deployer receives \`PUT …?wait\`, and the Docker CLI runs \`docker service update --detach=false\`. Both
  resolve the image, and all tasks start successfully.
- *Engine calls*: counted by a proxy in front of the engine, in separate rollouts. Calls that are not for
  a service (the event stream, the list of nodes, the digest) are divided evenly among the rollouts in
  progress.
- *From CompletedAt to the answer*: from the end of the rollout according to the engine until the response
  of Deployer, or the end of the command.
- *One at a time*: 2 replicas, start-first, a monitor of 500 ms.
- *100 at once*: one rollout for each of 100 services, 1 replica, start-first, a monitor of 10 s, within
  which the engine starts all containers. The CLI has fewer rollouts, because each of its processes is a
  load for the engine.
- *While the engine still starts containers*: the same with Swarm's default monitor of 5 s. Both cores
  are fully used, and the engine's event itself is up to 250 ms late.`

/**
 * Measures rollouts, one at a time and many at once.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureRollouts(lab: SharedLab): Promise<Section> {
  const sockets = {
    deployer: await openSocket(lab, 'deployer'),
    peer: await openSocket(lab, 'cli'),
  }
  const deployers = {
    direct: await startDeployer(lab),
    counted: await startDeployer(lab, { dockerHost: sockets.deployer.dockerHost }),
  }
  const sides = {
    direct: deployers.direct.connect(AT_ONCE.deployer, { waitSeconds: WAIT_SECONDS }),
    counted: deployers.counted.connect(AT_ONCE.deployer, { waitSeconds: WAIT_SECONDS }),
  }
  const rollers: Pair<Roller> = {
    deployer: {
      direct: sides.direct.deploy,
      counted: sides.counted.deploy,
      socket: sockets.deployer,
    },
    peer: {
      direct: (...update) => updateByCli(lab, lab.engine.dockerHost, update),
      counted: (...update) => updateByCli(lab, sockets.peer.dockerHost, update),
      socket: sockets.peer,
    },
  }
  try {
    const rows = [
      ...(await oneByOne(lab, rollers)),
      ...(await atOnce(lab, rollers)),
      ...(await whileStarting(lab, rollers)),
    ]
    return { title: 'Watching a rollout to its end', peer: "Docker's CLI", rows, notes: NOTES }
  } finally {
    for (const side of Object.values(sides)) side.close()
    await Promise.all(Object.values(deployers).map(({ stop }) => stop()))
    await Promise.all(Object.values(sockets).map(({ close }) => close()))
  }
}

function openSocket(lab: SharedLab, name: string): Promise<CountingSocket> {
  return openCountingSocket(lab.engine.socketPath, join(lab.directory, `${name}.sock`))
}

/** Counts first: a Deployer sends one more call after an update by another process. */
async function oneByOne(lab: SharedLab, rollers: Pair<Roller>): Promise<readonly Row[]> {
  const fleet = await createFleet(lab, {
    name: 'single',
    size: 1,
    replicas: 2,
    args: SHORT_MONITOR,
  })
  const [deployer, peer] = [createServiceGroup(fleet, 1), createServiceGroup(fleet, 1)]
  const perTurn = ONE_BY_ONE.deployer / ONE_BY_ONE.cli
  for (const measure of [countCalls, measureDelays]) {
    for (let turn = 0; turn < ONE_BY_ONE.cli; turn += 1) {
      for (let time = 0; time < perTurn; time += 1) {
        await measure(lab, rollers.deployer, deployer)
      }
      await measure(lab, rollers.peer, peer)
    }
  }
  await fleet.remove()
  return rowsOf('one at a time', { deployer: deployer.rounds, peer: peer.rounds })
}

async function atOnce(lab: SharedLab, rollers: Pair<Roller>): Promise<readonly Row[]> {
  const { fleet, deployer, peer } = await createGroups(lab, 'long-monitor', LONG_MONITOR)
  await countCalls(lab, rollers.deployer, deployer)
  await countCalls(lab, rollers.peer, peer)
  await measureDelays(lab, rollers.deployer, deployer)
  await measureDelays(lab, rollers.peer, peer)
  await measureDelays(lab, rollers.deployer, deployer)
  await fleet.remove()
  const how = `${AT_ONCE.deployer} at once`
  return rowsOf(how, { deployer: deployer.rounds, peer: peer.rounds })
}

/** For information, without a limit: no client can compensate for a late event of the engine. */
async function whileStarting(lab: SharedLab, rollers: Pair<Roller>): Promise<readonly Row[]> {
  const { fleet, deployer, peer } = await createGroups(lab, 'default-monitor', DEFAULT_MONITOR)
  await measureDelays(lab, rollers.deployer, deployer)
  await measureDelays(lab, rollers.peer, peer)
  await fleet.remove()
  const p99 = ({ rounds }: ServiceGroup): number => percentile(rounds.delaysMs, 0.99)
  return [
    {
      what: 'The same while the engine still starts containers, p99',
      deployer: `${p99(deployer)} ms`,
      peer: `${p99(peer)} ms`,
      ratio: p99(deployer) / p99(peer),
    },
  ]
}

async function createGroups(
  lab: SharedLab,
  name: string,
  args: readonly string[],
): Promise<Pair<ServiceGroup> & { readonly fleet: Fleet }> {
  const size = AT_ONCE.deployer
  const fleet = await createFleet(lab, { name, size, replicas: 1, args })
  return {
    fleet,
    deployer: createServiceGroup(fleet, size),
    peer: createServiceGroup(fleet, AT_ONCE.cli),
  }
}

function rowsOf(how: string, { deployer, peer }: Pair<Rounds>): readonly Row[] {
  const counts = (of: keyof Rounds): string =>
    `${deployer[of].length} rollouts, ${how} (the CLI: ${peer[of].length})`
  const row = (
    what: string,
    of: (rounds: Rounds) => number,
    { unit = '', digits = 0, most }: { unit?: string; digits?: number; most: number },
  ): Row => ({
    what,
    deployer: `${of(deployer).toFixed(digits)}${unit}`,
    peer: `${of(peer).toFixed(digits)}${unit}`,
    ratio: of(deployer) / of(peer),
    limit: { text: `≤ ${most}${unit}`, holds: of(deployer) <= most },
  })
  const mean = ({ calls }: Rounds): number => sum(calls) / calls.length
  const most = ({ calls }: Rounds): number => Math.max(...calls)
  const p50 = ({ delaysMs }: Rounds): number => percentile(delaysMs, 0.5)
  const p99 = ({ delaysMs }: Rounds): number => percentile(delaysMs, 0.99)
  const milliseconds = { unit: ' ms' }
  return [
    row(`Engine calls for each of ${counts('calls')}, mean`, mean, { digits: 1, most: MOST_CALLS }),
    row('Engine calls, most', most, { digits: 1, most: MOST_CALLS }),
    row(`From CompletedAt to the answer, p50 of ${counts('delaysMs')}`, p50, {
      ...milliseconds,
      most: MOST_DELAY_MS.p50,
    }),
    row('From CompletedAt to the answer, p99', p99, { ...milliseconds, most: MOST_DELAY_MS.p99 }),
  ]
}
