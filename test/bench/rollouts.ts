// What rollouts cost until their end is known, and how soon it is told: Deployer beside Docker's own
// command line.

import { join } from 'node:path'
import type { SharedLab } from '../lab/lab.ts'
import { type Pair, percentile, sum } from './blocks.ts'
import { type CountingSocket, openCountingSocket } from './counting-socket.ts'
import { startDeployer } from './deployer-process.ts'
import { updateByCli } from './docker-cli.ts'
import { createFleet, type Fleet } from './fleet.ts'
import type { Row, Section } from './report.ts'
import {
  type Crowd,
  countCalls,
  createCrowd,
  measureDelays,
  type Roller,
  type Rounds,
} from './rollout-rounds.ts'

const MOST_CALLS = 10
const MOST_DELAY_MS = { p50: 50, p99: 250 }
const WAIT_SECONDS = 300

// A process of the command line asks the engine so often that many of them are a load of their own.
const ONE_BY_ONE = { deployer: 20, cli: 5 }
const AT_ONCE = { deployer: 100, cli: 10 }
// Start-first makes rollouts short, and so does a monitor of less than Swarm's 5 s.
const START_FIRST = ['--update-order=start-first']
const SHORT = [...START_FIRST, '--update-monitor=500ms']
// The engine has started all containers before the first rollout is completed, or is still at it.
const CALM = [...START_FIRST, '--update-monitor=10s']
const HASTY = [...START_FIRST, '--update-monitor=5s']

const NOTES = `- Deployer is asked by \`PUT …?wait\`, and Docker's command line is \`docker service update
  --detach=false\`, from the same rollouts: of images that run, resolved by both.
- *Engine calls*: counted by a socket between them and the engine, in rollouts of their own. Those
  that name no service (the stream of events, the list of nodes, the digest) are shared out evenly
  among the rollouts of that moment.
- *From CompletedAt to the answer*: from the moment that the engine notes as the rollout's end until
  Deployer's answer is there, or the command has ended.
- *One at a time*: 2 replicas, start-first, a monitor of 500 ms.
- *100 at once*: a service each, 1 replica, start-first, a monitor of 10 s: by then the engine has
  started all the containers. The command line has fewer rollouts, since each of its processes keeps
  the engine busy.
- *While the engine still starts containers*: the same with Swarm's own monitor of 5 s, when both cores
  are at their limit, and the engine's event itself comes up to a quarter of a second late.`

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

/** All that are counted first: a Deployer looks once more at what another process has written. */
async function oneByOne(lab: SharedLab, rollers: Pair<Roller>): Promise<readonly Row[]> {
  const fleet = await createFleet(lab, { name: 'single', size: 1, replicas: 2, args: SHORT })
  const [deployer, peer] = [createCrowd(fleet, 1), createCrowd(fleet, 1)]
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
  const { fleet, deployer, peer } = await createCrowds(lab, 'calm', CALM)
  await countCalls(lab, rollers.deployer, deployer)
  await countCalls(lab, rollers.peer, peer)
  await measureDelays(lab, rollers.deployer, deployer)
  await measureDelays(lab, rollers.peer, peer)
  await measureDelays(lab, rollers.deployer, deployer)
  await fleet.remove()
  const how = `${AT_ONCE.deployer} at once`
  return rowsOf(how, { deployer: deployer.rounds, peer: peer.rounds })
}

/** For information: how late the engine's own event is then, nobody who waits for it can help. */
async function whileStarting(lab: SharedLab, rollers: Pair<Roller>): Promise<readonly Row[]> {
  const { fleet, deployer, peer } = await createCrowds(lab, 'hasty', HASTY)
  await measureDelays(lab, rollers.deployer, deployer)
  await measureDelays(lab, rollers.peer, peer)
  await fleet.remove()
  const p99 = ({ rounds }: Crowd): number => percentile(rounds.delaysMs, 0.99)
  return [
    {
      what: 'The same while the engine still starts containers, p99',
      deployer: `${p99(deployer)} ms`,
      peer: `${p99(peer)} ms`,
      ratio: p99(deployer) / p99(peer),
    },
  ]
}

async function createCrowds(
  lab: SharedLab,
  name: string,
  args: readonly string[],
): Promise<Pair<Crowd> & { readonly fleet: Fleet }> {
  const size = AT_ONCE.deployer
  const fleet = await createFleet(lab, { name, size, replicas: 1, args })
  return {
    fleet,
    deployer: createCrowd(fleet, size),
    peer: createCrowd(fleet, AT_ONCE.cli),
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
