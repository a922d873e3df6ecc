// The protocol of a write: a deployment is stored before its write is sent, so that its events are
// published even if the process is killed in between.

import type { Deployment } from '../deployment/deployment.ts'
import type { KnownDeployment } from '../rollout/known-deployment.ts'
import type { Origin } from './deployment-event.ts'
import type { DeploymentPublisher } from './deployment-publisher.ts'
import { type DeploymentEntry, type Journal, journalEntry } from './journal.ts'
import type { Recovery } from './recovery.ts'
import type { TrackedDeployments } from './tracked-deployments.ts'

/** A write that is about to be sent. Exactly one of its methods is called, once. */
export interface PendingWrite {
  /**
   * The engine took the write: the events of the deployment are published.
   *
   * @param known The deployment, whose end is published as well.
   * @returns Nothing, once this is stored.
   */
  committed(known: KnownDeployment): Promise<void>
  /** The engine refused the write: nothing is published. */
  aborted(): void
  /**
   * It is unknown whether the engine took the write: the service is read until that is known, and the
   * events are published if it did.
   */
  uncertain(): void
}

/** What a write works with. */
export interface PendingWriteOptions {
  readonly journal: Journal
  readonly tracked: TrackedDeployments
  readonly publisher: DeploymentPublisher
  readonly recovery: Pick<Recovery, 'resolveUncertainWrite'>
  /** Runs work after all earlier work of a service. */
  readonly enqueue: (service: string, work: () => Promise<void>) => void
}

/**
 * Creates the function that stores a deployment before its write is sent.
 *
 * @param options What is kept of deployments, and what publishes their events.
 * @returns A function that resolves once the deployment is stored.
 */
export function createPrepare({
  journal,
  tracked,
  publisher,
  recovery,
  enqueue,
}: PendingWriteOptions): (deployment: Deployment, origin: Origin) => Promise<PendingWrite> {
  return async function prepare(deployment, origin) {
    const entry = journalEntry(deployment, { origin, state: 'prepared' })
    await journal.put(entry)
    return {
      async committed(known) {
        const committed: DeploymentEntry = { ...entry, state: 'committed' }
        await journal.put(committed)
        publisher.publish(known, committed)
      },

      aborted: () => journal.remove(entry),

      uncertain() {
        tracked.track(entry)
        tracked.warnIfLost(entry)
        enqueue(deployment.service, recovery.resolveUncertainWrite(entry))
      },
    }
  }
}
