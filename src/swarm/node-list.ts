// The nodes of the swarm, read once for all who ask at about the same time.

import type { Node } from './engine-types.ts'
import type { Swarm } from './swarm.ts'

/** The nodes, as new as somebody wants them. */
export interface NodeList {
  /**
   * Gives the nodes.
   *
   * @param maxAgeMs How old the list may be, in milliseconds; 0: it is read after this moment.
   * @returns The nodes.
   * @throws DeployerError as `listNodes` of the {@link Swarm} does.
   */
  read(maxAgeMs: number): Promise<readonly Node[]>
}

/**
 * Makes the list.
 *
 * @param swarm The swarm that has the nodes.
 * @returns The list; nothing is read yet.
 */
export function createNodeList(swarm: Swarm): NodeList {
  let nodes: Promise<readonly Node[]> | undefined
  let readAt = Number.NEGATIVE_INFINITY

  return {
    read(maxAgeMs) {
      const now = performance.now()
      if (nodes === undefined || now - readAt >= maxAgeMs) {
        const reading = swarm.listNodes()
        nodes = reading
        readAt = now
        reading.catch(() => {
          nodes = nodes === reading ? undefined : nodes
        })
      }
      return nodes
    },
  }
}
