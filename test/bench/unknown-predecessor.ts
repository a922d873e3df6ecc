// Measures a deployment whose predecessor another process has made: it is judged before the write.

import type { SharedLab } from '../lab/lab.ts'
import { type InspectedService, inspectService } from '../lab/lab-deployer.ts'
import { waitFor } from '../lab/wait.ts'
import { type Pair, percentile } from './alternating-blocks.ts'
import { createBareEngine, type Side } from './bare-engine.ts'
import { startDeployer } from './deployer-process.ts'
import { createFleet } from './fleet.ts'
import type { Section } from './report.ts'

const ROUNDS = Number(process.env.PREDECESSOR_ROUNDS ?? 30)
const LATENCY_RATIO = 1.3
const ARGS = ['--update-order=start-first', '--update-monitor=100ms']

const NOTES = `- A service with 2 replicas is updated by two Deployers in turn, and by engine calls alone, each time after
  the rollout before has ended. So the Deployer that writes does not know the deployment that it replaces:
  it reads its tasks, the nodes and the history first, while it stores its own deployment.`

/**
 * Measures deployments of two Deployers in turn.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measurePredecessors(lab: SharedLab): Promise<Section> {
  const fleet = await createFleet(lab, { name: 'predecessor', size: 1, replicas: 2, args: ARGS })
  const deployers = [await startDeployer(lab), await startDeployer(lab)]
  const sides = deployers.map((deployer) => deployer.connect(1))
  const bare = createBareEngine(lab.engine.socketPath, 1)
  const [{ name } = { name: '' }] = fleet.services
  const timesMs: Pair<number[]> = { deployer: [], peer: [] }

  async function measure(side: Side): Promise<number> {
    const startedAt = performance.now()
    await side.deploy(name, fleet.nextImage(name))
    const tookMs = performance.now() - startedAt
    await waitFor('the rollout to end', async () =>
      hasEnded(await inspectService(lab.engine, name)),
    )
    return tookMs
  }

  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const own: number[] = []
      for (const side of sides) own.push(await measure(side))
      const peer = await measure(bare)
      // In the first round, code is compiled and connections are opened. What follows a write of the bare
      // engine has no predecessor in any process.
      if (round > 0) {
        timesMs.deployer.push(...own.slice(1))
        timesMs.peer.push(peer)
      }
    }
  } finally {
    for (const side of [...sides, bare]) side.close()
    await Promise.all(deployers.map(({ stop }) => stop()))
    await fleet.remove()
  }
  const [own, peer] = [percentile(timesMs.deployer, 0.5), percentile(timesMs.peer, 0.5)]
  const row = {
    what: `2 replicas, an unknown predecessor, p50 of ${timesMs.deployer.length}`,
    deployer: `${own.toFixed(2)} ms`,
    peer: `${peer.toFixed(2)} ms`,
    ratio: own / peer,
    limit: { text: `≤ ${LATENCY_RATIO}`, holds: own / peer <= LATENCY_RATIO },
  }
  return {
    title: 'Replacing what another process deployed',
    peer: 'Bare',
    rows: [row],
    notes: NOTES,
  }
}

function hasEnded({ UpdateStatus }: InspectedService): boolean {
  return UpdateStatus?.State === 'completed'
}
