// Readings of services, shared by all watches of the same service.

import { thisMoment } from '../async/moment.ts'
import type { Node, Task } from '../swarm/engine-types.ts'
import type { NodeList } from '../swarm/node-list.ts'
import type { Service } from '../swarm/service.ts'
import type { Swarm } from '../swarm/swarm.ts'

/** What the swarm said of a service in one reading. */
export interface Reading {
  readonly service: Service
  /** All tasks of the service; undefined: not read. */
  readonly tasks: readonly Task[] | undefined
  /** The nodes of the swarm; undefined: not read. */
  readonly nodes: readonly Node[] | undefined
  /** When it was complete, by the engine's clock, in milliseconds since 1970. */
  readonly atMs: number
  /** The moment at which it began. */
  readonly beganAt: number
}

/** What a reading has to be like. */
export interface ReadingNeeds {
  readonly withTasks: boolean
  /**
   * The moment from which on it must have begun. One that another watch made since then will do while
   * it is less than a second old.
   */
  readonly since: number
}

/** Reads one service for one watch. */
export interface ServiceReader {
  /**
   * Reads the service, or takes part in the reading of another watch.
   *
   * @param needs What it has to be like.
   * @returns The reading.
   * @throws DeployerError as the {@link Swarm} does.
   */
  read(needs: ReadingNeeds): Promise<Reading>
  /** Ends the use of the service's readings; the last user's close forgets them. */
  close(): void
}

/** The readings of all services that are watched. */
export interface ServiceReadings {
  /**
   * @param serviceId The service's full ID.
   * @returns A reader, to be closed.
   */
  open(serviceId: string): ServiceReader
}

/** A reading that is under way, or was complete a moment ago. */
interface Begun {
  readonly withTasks: boolean
  readonly beganAt: number
  /** For its age, by `performance.now()`. */
  readonly beganAtMs: number
  readonly reading: Promise<Reading>
}

interface Entry {
  users: number
  /** Newest last: at most one of each kind. */
  begun: readonly Begun[]
}

// As long as a follower of a rollout waits for the next look.
const MAX_AGE_MS = 1000
const NODES_MAX_AGE_MS = 2000

/**
 * Creates the readings.
 *
 * @param swarm The swarm that has the services.
 * @param nodeList The swarm's nodes.
 * @returns The readings; nothing is read yet.
 */
export function createServiceReadings(swarm: Swarm, nodeList: NodeList): ServiceReadings {
  const entries = new Map<string, Entry>()

  async function read(serviceId: string, withTasks: boolean, beganAt: number): Promise<Reading> {
    const [service, tasks, nodes] = await Promise.all([
      swarm.inspectService(serviceId),
      withTasks ? swarm.listTasks(serviceId) : undefined,
      withTasks ? nodeList.read(NODES_MAX_AGE_MS) : undefined,
    ])
    return { service, tasks, nodes, atMs: swarm.now(), beganAt }
  }

  function begin(serviceId: string, entry: Entry, withTasks: boolean): Promise<Reading> {
    const [beganAt, beganAtMs] = [thisMoment(), performance.now()]
    const reading = read(serviceId, withTasks, beganAt)
    const begun: Begun = { withTasks, beganAt, beganAtMs, reading }
    entry.begun = [...entry.begun.filter((one) => one.withTasks !== withTasks), begun]
    begun.reading.catch(() => {
      // Who shares it now fails with it; nobody does later.
      entry.begun = entry.begun.filter((one) => one !== begun)
    })
    return begun.reading
  }

  return {
    open(serviceId) {
      const entry: Entry = entries.get(serviceId) ?? { users: 0, begun: [] }
      entries.set(serviceId, entry)
      entry.users += 1
      let isOpen = true
      return {
        read(needs) {
          const shared = entry.begun.find((begun) => satisfies(begun, needs))
          return shared?.reading ?? begin(serviceId, entry, needs.withTasks)
        },
        close() {
          entry.users -= isOpen ? 1 : 0
          isOpen = false
          if (entry.users === 0 && entries.get(serviceId) === entry) {
            entries.delete(serviceId)
          }
        },
      }
    },
  }
}

function satisfies(begun: Begun, { withTasks, since }: ReadingNeeds): boolean {
  return (
    begun.beganAt >= since &&
    performance.now() - begun.beganAtMs < MAX_AGE_MS &&
    (begun.withTasks || !withTasks)
  )
}
