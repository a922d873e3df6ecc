// The last known state of a service, for the watch of one rollout.

import { nextSequenceNumber } from '../async/sequence-number.ts'
import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { Node, Task } from '../swarm/engine-types.ts'
import type { Service } from '../swarm/service.ts'
import type { ServiceEvent } from '../swarm/swarm.ts'
import type { ServiceReadings } from './service-readings.ts'

/** The last known state of a service. */
export interface ServiceSnapshot {
  /** Undefined until the service was read successfully. */
  readonly service: Service | undefined
  /** All tasks of the service; undefined: not read. */
  readonly tasks: readonly Task[] | undefined
  /** The nodes of the swarm; undefined: not read. */
  readonly nodes: readonly Node[] | undefined
  /** Why the last reading failed; the other members are from the reading before. */
  readonly error: DeployerError | undefined
  /**
   * When the reading was complete, by the engine's clock; another watch may have made it, up to a second
   * ago. Undefined: nothing was read, and the present time counts.
   */
  readonly atMs?: number
  /** The sequence number of the start of the reading. Undefined: nothing was read. */
  readonly sequenceNumber?: number
}

/** Observes one service. */
export interface ServiceObserver {
  snapshot(): ServiceSnapshot
  /** How many readings have failed since the last successful one. */
  consecutiveErrors(): number
  /**
   * Reads the service. A failure becomes part of the snapshot.
   *
   * @param withTasks Whether to read its tasks and the nodes too.
   * @param since The sequence number from which on a reading is new enough. Default: from now on.
   */
  refresh(withTasks: boolean, since?: number): Promise<void>
  /**
   * Notes that the engine has started its update, without a reading.
   *
   * @param event The event that reports the start.
   */
  updateStarted(event: ServiceEvent): void
  /** Ends the use of readings that are shared with other watches. */
  close(): void
}

/** What an observer needs. */
export interface ServiceObserverOptions {
  readonly readings: ServiceReadings
  readonly logger: Logger
}

/**
 * Creates an observer that keeps the last known state of a service.
 *
 * @param serviceId The service's full ID.
 * @param options The shared readings, and the logger for faults of Deployer itself.
 * @param known The service, when it has just been read or written.
 * @returns The observer. It has read nothing yet.
 */
export function createServiceObserver(
  serviceId: string,
  options: ServiceObserverOptions,
  known: Service | undefined,
): ServiceObserver {
  const { readings, logger } = options
  const reader = readings.open(serviceId)
  let snapshot: ServiceSnapshot = {
    service: known,
    tasks: undefined,
    nodes: undefined,
    error: undefined,
  }
  let consecutiveErrors = 0

  async function refresh(withTasks: boolean, since = nextSequenceNumber()): Promise<void> {
    try {
      snapshot = { ...(await reader.read({ withTasks, since })), error: undefined }
      consecutiveErrors = 0
    } catch (error) {
      const { atMs: _, sequenceNumber: __, ...before } = snapshot
      snapshot = { ...before, error: errorOf(error) }
      consecutiveErrors += 1
    }
  }

  /** An error that is no DeployerError is a fault of the swarm's adapter. */
  function errorOf(error: unknown): DeployerError {
    if (error instanceof DeployerError) {
      return error
    }
    logger.error({ err: error, serviceId }, 'service not looked at')
    const message = 'Cannot read the service: Deployer itself failed; see its log'
    return new DeployerError('internal-error', message, { cause: error })
  }

  return {
    snapshot: () => snapshot,
    consecutiveErrors: () => consecutiveErrors,
    refresh,
    close: reader.close,
    updateStarted({ timeMs, updateState = 'updating' }) {
      const UpdateStatus = { State: updateState, StartedAt: new Date(timeMs).toISOString() }
      const service = snapshot.service && { ...snapshot.service, UpdateStatus }
      // The tasks of the snapshot are older than the event.
      snapshot = { service, tasks: undefined, nodes: undefined, error: undefined }
    },
  }
}
