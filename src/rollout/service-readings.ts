// Readings of services, shared by all watches of the same service.

import { nextSequenceNumber } from '../async/sequence-number.ts'
import { joinWork } from '../async/shared-work.ts'
import type { Node, Task } from '../swarm/engine-types.ts'
import type { NodeList } from '../swarm/node-list.ts'
import type { Service } from '../swarm/service.ts'
import type { Swarm } from '../swarm/swarm.ts'

/** A service as it was in one reading. */
export interface Reading {
  readonly service: Service
  /** All tasks of the service; undefined: not read. */
  readonly tasks: readonly Task[] | undefined
  /** The nodes of the swarm; undefined: not read. */
  readonly nodes: readonly Node[] | undefined
  /** When it was complete, by the engine's clock, in milliseconds since 1970. */
  readonly atMs: number
  /** The sequence number of its start. */
  readonly sequenceNumber: number
}

/** What a caller needs of a reading. */
export interface ReadingNeeds {
  readonly withTasks: boolean
  /**
   * The sequence number after which it must have started. A reading that another watch started since
   * then is shared while it is less than a second old.
   */
  readonly since: number
}

/** Reads one service for one watch. */
export interface ServiceReader {
  /**
   * Reads the service, or shares the reading of another watch.
   *
   * @param needs What the caller needs.
   * @returns The reading.
   * @throws DeployerError as the {@link Swarm} does.
   */
  read(needs: ReadingNeeds): Promise<Reading>
  /** Ends the use of the service's readings; they are dropped with their last user. */
  close(): void
}

/** The readings of all services that are watched. */
export interface ServiceReadings {
  /**
   * Creates a reader of one service.
   *
   * @param serviceId The service's full ID.
   * @returns The reader; it has to be closed.
   */
  open(serviceId: string): ServiceReader
}

/** A reading that is in progress or was completed a moment ago. */
interface StartedReading {
  readonly withTasks: boolean
  readonly sequenceNumber: number
  /** When it started, by `performance.now()`. */
  readonly startedAtMs: number
  readonly reading: Promise<Reading>
}

interface Entry {
  users: number
  /** Newest last: at most one with tasks and one without. */
  started: readonly StartedReading[]
}

// A follower of a rollout reads as often.
const MAX_AGE_MS = 1000
const NODES_MAX_AGE_MS = 2000

/**
 * Creates the readings.
 *
 * @param swarm The swarm that has the services.
 * @param nodeList The swarm's nodes.
 * @returns The readings. Nothing is read yet.
 */
export function createServiceReadings(swarm: Swarm, nodeList: NodeList): ServiceReadings {
  const entries = new Map<string, Entry>()

  async function read(
    serviceId: string,
    withTasks: boolean,
    sequenceNumber: number,
  ): Promise<Reading> {
    const [service, tasks, nodes] = await Promise.all([
      swarm.inspectService(serviceId),
      withTasks ? swarm.listTasks(serviceId) : undefined,
      withTasks ? nodeList.read(NODES_MAX_AGE_MS) : undefined,
    ])
    return { service, tasks, nodes, atMs: swarm.now(), sequenceNumber }
  }

  function start(serviceId: string, entry: Entry, withTasks: boolean): Promise<Reading> {
    const [sequenceNumber, startedAtMs] = [nextSequenceNumber(), performance.now()]
    const reading = read(serviceId, withTasks, sequenceNumber)
    const started: StartedReading = { withTasks, sequenceNumber, startedAtMs, reading }
    entry.started = [...entry.started.filter((one) => one.withTasks !== withTasks), started]
    reading.catch(() => {
      // Current users fail with it; later ones start a new reading.
      entry.started = entry.started.filter((one) => one !== started)
    })
    return reading
  }

  /** Shares a reading of another watch where there is one that is new enough. */
  function readOrShare(serviceId: string, entry: Entry, needs: ReadingNeeds): Promise<Reading> {
    const shared = entry.started.find((started) => satisfies(started, needs))
    return shared === undefined
      ? start(serviceId, entry, needs.withTasks)
      : joinWork(shared.reading, () => readOrShare(serviceId, entry, needs))
  }

  return {
    open(serviceId) {
      const entry: Entry = entries.get(serviceId) ?? { users: 0, started: [] }
      entries.set(serviceId, entry)
      entry.users += 1
      let isOpen = true
      return {
        read: (needs) => readOrShare(serviceId, entry, needs),
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

function satisfies(
  { sequenceNumber, startedAtMs, withTasks }: StartedReading,
  needs: ReadingNeeds,
): boolean {
  return (
    sequenceNumber >= needs.since &&
    performance.now() - startedAtMs < MAX_AGE_MS &&
    (withTasks || !needs.withTasks)
  )
}
