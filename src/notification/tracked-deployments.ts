// The deployments of this process of which events are still to be published.

import { onAbort } from '../async/abort.ts'
import { isFinal } from '../deployment/deployment.ts'
import type { Logger } from '../logger.ts'
import type { DeploymentEntry, Journal, JournalEntry } from './journal.ts'

/** The deployments of which events are still to be published. */
export interface TrackedDeployments {
  /** Tracks a deployment, in place of an earlier entry of the same deployment. */
  track(entry: DeploymentEntry): void
  /** Stops tracking a deployment, and removes its entry from the journal: all events are published. */
  untrack(entry: DeploymentEntry): void
  /** Stops tracking a deployment whose last event is kept in the journal for the next process. */
  leave(entry: DeploymentEntry): void
  /** The entry that is tracked for the same deployment; it may come from another request. */
  find(entry: DeploymentEntry): DeploymentEntry | undefined
  /** Whether this very entry is tracked, and not another one of the same deployment. */
  has(entry: DeploymentEntry): boolean
  /**
   * Whether this process may publish events of an entry: no other entry has taken its place, no other
   * process has taken it over, and it is not left to the next process.
   */
  mayPublish(entry: JournalEntry): Promise<boolean>
  /** Logs a deployment whose verdict will not be published, because the process is ending. */
  warnIfLost(entry: DeploymentEntry): void
}

/** What tracking works with. */
export interface TrackedDeploymentsOptions {
  readonly journal: Journal
  readonly logger: Logger
  /** Whether the notifier receives any event of how a deployment ended. */
  readonly wantsEnd: boolean
  /** Whether the entries of an earlier process are known. */
  readonly isRecovered: () => boolean
  /** Aborts when the process ends. */
  readonly signal: AbortSignal
}

/**
 * Creates the tracking.
 *
 * @param options The journal, the logger, and the state of the process.
 * @returns The tracking; it is empty.
 */
export function createTrackedDeployments({
  journal,
  logger,
  wantsEnd,
  isRecovered,
  signal,
}: TrackedDeploymentsOptions): TrackedDeployments {
  const tracked = new Map<string, DeploymentEntry>()

  function find(entry: DeploymentEntry): DeploymentEntry | undefined {
    return tracked.get(identityOf(entry))
  }

  function has(entry: DeploymentEntry): boolean {
    return find(entry)?.origin.messageId === entry.origin.messageId
  }

  /** The next process publishes it, after the entries that this process could not read any more. */
  function isLeftToNextProcess(entry: JournalEntry): boolean {
    return signal.aborted && !isRecovered() && journal.isSafe(entry)
  }

  function warn(entry: DeploymentEntry): void {
    if (wantsEnd && !journal.isSafe(entry)) {
      const { deployment, deploymentId } = entry
      const { service, image } = deployment
      logger.warn({ service, image, deploymentId }, 'verdict will not be sent')
    }
  }

  onAbort(signal, () => {
    for (const entry of tracked.values()) {
      warn(entry)
    }
  })

  return {
    find,
    has,

    track(entry) {
      tracked.set(identityOf(entry), entry)
    },

    untrack(entry) {
      tracked.delete(identityOf(entry))
      journal.remove(entry)
    },

    leave(entry) {
      tracked.delete(identityOf(entry))
    },

    async mayPublish(entry) {
      if ('event' in entry) {
        return (await journal.owns(entry)) && !isLeftToNextProcess(entry)
      }
      if (!has(entry)) {
        return false
      }
      if (!(await journal.owns(entry))) {
        tracked.delete(identityOf(entry))
      }
      return has(entry) && !isLeftToNextProcess(entry)
    },

    warnIfLost(entry) {
      if (signal.aborted) {
        warn(entry)
      }
    },
  }
}

/**
 * Equal for all entries of a deployment, however the caller writes the image. A request that ended when it
 * was accepted is a deployment of its own.
 */
function identityOf({ deployment, origin }: DeploymentEntry): string {
  const { serviceId, versionIndex, startedAt, unwritten = 'written' } = deployment
  return isFinal(deployment)
    ? origin.messageId
    : `${serviceId} ${versionIndex} ${startedAt} ${unwritten}`
}
