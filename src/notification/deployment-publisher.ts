// Publishes the events of deployments: that they were accepted, and how they ended.

import { isFinal } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import { type KnownDeployment, whenEnded } from '../rollout/known-deployment.ts'
import { acceptedEvent, endedEvent } from './deployment-event.ts'
import type { EventSender } from './event-sender.ts'
import {
  acceptedEntry,
  type DeploymentEntry,
  type EventEntry,
  endEntry,
  type Journal,
} from './journal.ts'
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
  /** Publishes a stored event, and removes it from the journal unless the notifier failed. */
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

// The notifier may never take an event; the journal must not grow for ever.
const KEEP_FAILED_MS = 7 * 24 * 60 * 60 * 1000

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
  /** Returns false when the notifier failed, and the journal has the event for the next process. */
  function send(entry: EventEntry): Promise<boolean> {
    const { startedAt, endedAt } = entry.event
    return sender.send(entry.event, async () => {
      if (Date.now() - Date.parse(endedAt || startedAt) > KEEP_FAILED_MS) {
        return false
      }
      await journal.put(entry)
      const isKept = journal.isSafe(entry)
      if (!isKept) {
        journal.remove(entry)
      }
      return isKept
    })
  }

  async function publishAccepted(entry: DeploymentEntry): Promise<void> {
    if (!(await tracked.mayPublish(entry))) {
      return
    }
    const published: DeploymentEntry = { ...entry, state: 'published' }
    if (entry.state !== 'published') {
      tracked.track(published)
      await send(acceptedEntry(entry, acceptedEvent(entry)))
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
    const ended = endEntry(entry, endedEvent(entry, outcome))
    if (sender.wants(ended.event.event) && !isFinal(entry.deployment)) {
      // From now on it is final: if this process is killed here, the next one publishes the same event.
      await journal.put(ended)
    }
    if (await send(ended)) {
      tracked.untrack(entry)
    } else {
      tracked.leave(entry)
    }
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
      if ((await tracked.mayPublish(entry)) && (await send(entry))) {
        journal.remove(entry)
      }
    },
  }
}
