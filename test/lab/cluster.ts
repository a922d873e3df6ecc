// A swarm of several nodes on one machine: engines of their own, each with an address of the loopback network.

import { createEngine, type Engine } from './engine.ts'
import { type Lab, raiseLab } from './lab.ts'
import { createLabDirectory, removeLab } from './leftovers.ts'

/** The number of nodes besides the first manager. */
export interface ClusterSize {
  readonly managers: number
  readonly workers: number
}

/** A running swarm. */
export interface Cluster {
  /** The first manager, with the registry. */
  readonly lab: Lab
  /** All managers, the first one included. */
  readonly managers: readonly Engine[]
  readonly workers: readonly Engine[]
  /** Removes all of it, whatever its state is. */
  down(): Promise<void>
}

/**
 * Raises a swarm.
 *
 * @param size How many nodes join the first manager.
 * @returns The swarm; the caller must call `down`.
 */
export async function raiseCluster({ managers, workers }: ClusterSize): Promise<Cluster> {
  const lab = await raiseLab()
  const directories: string[] = []

  async function down(): Promise<void> {
    await Promise.all(directories.map(removeLab))
    await lab.down()
  }

  async function join(role: 'Manager' | 'Worker'): Promise<Engine> {
    const directory = await createLabDirectory()
    directories.push(directory)
    const { text } = await lab.engine.request('GET', '/swarm')
    const engine = await createEngine(directory, {
      registryAddress: lab.registry.address,
      join: { manager: lab.engine.swarmAddress(), token: JSON.parse(text).JoinTokens[role] },
    })
    await engine.start()
    return engine
  }

  try {
    const joined: Engine[] = []
    // One after the other: each new manager changes the members of the raft group.
    for (let n = 0; n < managers; n += 1) {
      joined.push(await join('Manager'))
    }
    const others = await Promise.all(Array.from({ length: workers }, () => join('Worker')))
    return { lab, managers: [lab.engine, ...joined], workers: others, down }
  } catch (error) {
    await down()
    throw error
  }
}
