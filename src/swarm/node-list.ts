// The nodes of the swarm, read once for all callers that need them at about the same time.

import { joinWork } from '../async/shared-work.ts'
import type { Node } from './engine-types.ts'
import type { Swarm } from './swarm.ts'

/** A cached list of the nodes. */
export interface NodeList {
  /**
   * Gets the nodes.
   *
   * @param maxAgeMs How old the list may be, in milliseconds; 0: it is read now.
   * @returns The nodes.
   * @throws DeployerError as `listNodes` of the {@link Swarm} does.
   */
  read(maxAgeMs: number): Promise<readonly Node[]>
}

interface Listing {
  readonly nodes: Promise<readonly Node[]>
  /** By `performance.now()`. */
  readonly startedAt: number
}

/**
 * Creates the list.
 *
 * @param swarm The swarm that has the nodes.
 * @returns The list. Nothing is read yet.
 */
export function createNodeList(swarm: Swarm): NodeList {
  let latest: Listing | undefined

  function start(): Promise<readonly Node[]> {
    const nodes = swarm.listNodes()
    const listing = { nodes, startedAt: performance.now() }
    latest = listing
    nodes.catch(() => {
      latest = latest === listing ? undefined : latest
    })
    return nodes
  }

  return {
    async read(maxAgeMs) {
      const shared = latest
      if (shared === undefined || performance.now() - shared.startedAt >= maxAgeMs) {
        return start()
      }
      return joinWork(shared.nodes, () =>
        latest === undefined || latest === shared ? start() : latest.nodes,
      )
    },
  }
}
