// Publishes the events of deployments: that they were accepted, and how they ended.

import { isFinal } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import { type KnownDeployment, whenEnded } from '../rollout/known-deployment.ts'
import { acceptedEvent, endedEvent } from './deployment-event.ts'
import type { EventSender } from './event-sender.ts'
import type { DeploymentEntry, EventEntry, Journal } from './journal.ts'
import type { TrackedDeployments } from './tracked-deployments.ts'

/** Publishes the events of deployments. */
export interface DeploymentPublisher {
  /** Tracks a committed deployment, and publishes its events when it is the service's turn. */
  publish(known: KnownDeployment, entry: DeploymentEntry): void
  /** Publishes that a tracked deployment was accepted, unless that is published. */
  publishAccepted(entry: DeploymentEntry): Promise<void>
  /** Publishes how a tracked deployment ended, and stops tracking it. */
  publishEnd(outcome: Outcome, entry: DeploymentEntry): Promise<void>
  /** Publishes how a tracked deployment ended once it has, when it is the service's turn. */
  publishEndLater(known: KnownDeployment, entry: DeploymentEntry): void
  /** Publishes a stored event, and removes it from the journal. */
  publishEvent(entry: EventEntry): Promise<void>
}

/** What a publisher works with. */
export interface DeploymentPublisherOptions {
  readonly sender: EventSender
  readonly journal: Journal
  readonly tracked: TrackedDeployments
  /** Runs work after all earlier work of a service. */
  readonly enqueue: (service: string, work: () => Promise<void>) => void
}

/**
 * Creates a publisher.
 *
 * @param options The sender, and what is kept of deployments.
 * @returns The publisher.
 */
export function createDeploymentPublisher({
  sender,
  journal,
  tracked,
  enqueue,
}: DeploymentPublisherOptions): DeploymentPublisher {
  async function publishAccepted(entry: DeploymentEntry): Promise<void> {
    if (!(await tracked.mayPublish(entry))) {
      return
    }
    const published: DeploymentEntry = { ...entry, state: 'published' }
    if (entry.state !== 'published') {
      tracked.track(published)
      await sender.send(acceptedEvent(entry))
    }
    if (!sender.wantsEnd) {
      tracked.untrack(entry)
    } else if (entry.state !== 'published') {
      void journal.put(published)
    }
  }

  async function publishEnd(outcome: Outcome, entry: DeploymentEntry): Promise<void> {
    if (!(await tracked.mayPublish(entry))) {
      return
    }
    const event = endedEvent(entry, outcome)
    if (sender.wants(event.event) && !isFinal(entry.deployment)) {
      // From now on it is final: if this process is killed here, the next one publishes the same event.
      await journal.put({ event })
    }
    await sender.send(event)
    tracked.untrack(entry)
  }

  function publishEndLater(known: KnownDeployment, entry: DeploymentEntry): void {
    if (sender.wantsEnd) {
      whenEnded(known, (outcome) =>
        enqueue(entry.deployment.service, () => publishEnd(outcome, entry)),
      )
    }
  }

  return {
    ...{ publishAccepted, publishEnd, publishEndLater },

    publish(known, entry) {
      tracked.track(entry)
      tracked.warnIfLost(entry)
      enqueue(entry.deployment.service, () => publishAccepted(entry))
      publishEndLater(known, entry)
    },

    async publishEvent(entry) {
      if (await tracked.mayPublish(entry)) {
        await sender.send(entry.event)
        journal.remove(entry)
      }
    },
  }
}
