// What this process knows of a service: the service as it was read last, its tasks, or why not.

import { thisMoment } from '../async/moment.ts'
import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { Node, Task } from '../swarm/engine-types.ts'
import type { Service } from '../swarm/service.ts'
import type { ServiceEvent } from '../swarm/swarm.ts'
import type { ServiceReadings } from './service-readings.ts'

/** What was snapshot in one look. */
export interface ServiceSnapshot {
  /** Undefined before the first look that worked. */
  readonly service: Service | undefined
  /** All tasks of the service; undefined: not read. */
  readonly tasks: readonly Task[] | undefined
  /** The nodes of the swarm; undefined: not read. */
  readonly nodes: readonly Node[] | undefined
  /** Why the last look failed; what is there besides is from before. */
  readonly error: DeployerError | undefined
  /**
   * When the reading was complete, by the engine's clock: another watch may have made it up to a second
   * ago. Undefined: no reading, so that the present counts.
   */
  readonly atMs?: number
  /** The moment at which that reading began. Undefined: no reading. */
  readonly beganAt?: number
}

/** The eyes on one service. */
export interface ServiceObserver {
  snapshot(): ServiceSnapshot
  /** Looks that failed since the last one that worked. */
  consecutiveErrors(): number
  /**
   * Reads the service.
   *
   * @param withTasks Whether to read its tasks, and the nodes, too.
   * @param since From which moment on the reading must have begun. Default: now.
   * @returns Nothing, once what was snapshot is there; a failure is part of that.
   */
  refresh(withTasks: boolean, since?: number): Promise<void>
  /**
   * Takes an event's word for it that the engine has begun its update.
   *
   * @param event The event.
   */
  updateStarted(event: ServiceEvent): void
  /** Ends the use of readings that are shared with other watches. */
  close(): void
}

/** What a look takes. */
export interface ServiceObserverOptions {
  readonly readings: ServiceReadings
  readonly logger: Logger
}

/**
 * Opens the eyes on a service.
 *
 * @param serviceId The service's full ID.
 * @param tools The readings of services, and who is told of faults of Deployer's own.
 * @param known The service, when it has just been read or written.
 * @returns The sight; nothing is read yet.
 */
export function createServiceObserver(
  serviceId: string,
  tools: ServiceObserverOptions,
  known: Service | undefined,
): ServiceObserver {
  const { readings, logger } = tools
  const reader = readings.open(serviceId)
  let snapshot: ServiceSnapshot = {
    service: known,
    tasks: undefined,
    nodes: undefined,
    error: undefined,
  }
  let consecutiveErrors = 0

  async function refresh(withTasks: boolean, since = thisMoment()): Promise<void> {
    try {
      snapshot = { ...(await reader.read({ withTasks, since })), error: undefined }
      consecutiveErrors = 0
    } catch (error) {
      const { atMs: _, beganAt: __, ...before } = snapshot
      snapshot = { ...before, error: errorOf(error) }
      consecutiveErrors += 1
    }
  }

  /** What a swarm throws that is no DeployerError is a fault of its adapter. */
  function errorOf(error: unknown): DeployerError {
    if (error instanceof DeployerError) {
      return error
    }
    logger.error({ err: error, serviceId }, 'service not looked at')
    const message = 'Cannot look at the service: Deployer itself failed; its log says why'
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
      // The tasks are those from before.
      snapshot = { service, tasks: undefined, nodes: undefined, error: undefined }
    },
  }
}
