// Publishes the events of deployments and of rejected requests to the notifier, in order for each
// service, and across restarts.

import { waitFor } from '../async/wait-for.ts'
import type { Deployment } from '../deployment/deployment.ts'
import type { DeploymentHistory } from '../history/deployment-history.ts'
import type { Logger } from '../logger.ts'
import type { Deployments } from '../rollout/deployments.ts'
import { type KnownDeployment, outcomeOf } from '../rollout/known-deployment.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { errorMessage } from '../text/error-message.ts'
import {
  type DeploymentEventName,
  type Origin,
  type RejectedRequest,
  refusedEvent,
} from './deployment-event.ts'
import { createDeploymentPublisher } from './deployment-publisher.ts'
import { createEventSender } from './event-sender.ts'
import { createJournal, type DeploymentEntry, journalEntry, refusedEntry } from './journal.ts'
import type { Notifier } from './notifier.ts'
import { createPrepare, type PendingWrite } from './pending-write.ts'
import { startRecovery } from './recovery.ts'
import { createServiceOrder } from './service-order.ts'
import type { Spool } from './spool.ts'
import { createTrackedDeployments } from './tracked-deployments.ts'

/** Publishes events. Its promises resolve once the event is stored, where there is a spool. */
export interface NotificationPublisher {
  /**
   * Stores a deployment before its write is sent.
   *
   * @param deployment The deployment.
   * @param origin The request that it comes from.
   * @returns The pending write, once the deployment is stored.
   */
  prepare(deployment: Deployment, origin: Origin): Promise<PendingWrite>
  /** Publishes the events of a deployment that is accepted without a write, unless they are published. */
  publishAccepted(known: KnownDeployment, origin: Origin): Promise<void>
  /**
   * Stores a deployment that a request joined by its idempotency key, as long as the entries of an
   * earlier process are not read. If that process made the write and this one is killed too, the next
   * process knows from this entry that the write succeeded.
   */
  trackJoined(known: KnownDeployment, origin: Origin): Promise<void>
  /** Publishes that a request was rejected. */
  publishRefused(refusal: RejectedRequest): Promise<void>
  /** Resolves once the notifier has received all events so far, and no delivery attempt is running. */
  idle(): Promise<void>
}

/** What a publisher works with. */
export interface NotificationPublisherOptions {
  readonly notifier: Notifier | undefined
  /** The names of the events that the notifier receives. */
  readonly notifierEvents: readonly DeploymentEventName[]
  /** Keeps unpublished events across restarts. */
  readonly spool: Spool | undefined
  readonly swarm: Swarm
  readonly deployments: Deployments
  /** Shows that a write succeeded where the service does not any more. */
  readonly history: Pick<DeploymentHistory, 'read'>
  readonly logger: Logger
  readonly signal: AbortSignal
}

/**
 * Creates a publisher. Events that an earlier one left in the spool are published first.
 *
 * @param options What it works with.
 * @returns The publisher; without a notifier one that does nothing.
 */
export function createNotificationPublisher({
  notifier,
  ...options
}: NotificationPublisherOptions): NotificationPublisher {
  return notifier === undefined ? SILENT : createPublisher(notifier, options)
}

const SILENT: NotificationPublisher = {
  prepare: async () => ({ committed: async () => {}, aborted() {}, uncertain() {} }),
  async publishAccepted() {},
  async trackJoined() {},
  async publishRefused() {},
  async idle() {},
}

// A spool is read at once, or when the process ends that uses it.
const RECOVER_WITHIN_MS = 60_000

function createPublisher(
  notifier: Notifier,
  options: Omit<NotificationPublisherOptions, 'notifier'>,
): NotificationPublisher {
  const { notifierEvents, spool, swarm, deployments, history, logger, signal } = options
  const journal = createJournal(spool, logger)
  const order = createServiceOrder(logger)
  const sender = createEventSender(notifier, { notifierEvents, logger, signal })
  const { wantsEnd } = sender
  const isRecovered = (): boolean => recovery.isDone()
  const tracked = createTrackedDeployments({ journal, logger, wantsEnd, isRecovered, signal })
  const publisher = createDeploymentPublisher({ sender, journal, tracked, enqueue })
  const recovery = startRecovery({
    ...{ hasSpool: spool !== undefined, journal, tracked, publisher, order },
    ...{ swarm, deployments, history, signal },
  })
  /** New events follow those of an earlier process, unless the spool cannot be read for too long. */
  const isReady = recovery.isDone() ? recovery.done : waitForRecovery()
  const pending = new Set<Promise<void>>()

  function waitForRecovery(): Promise<void> {
    const limits = { timeoutMs: RECOVER_WITHIN_MS, signals: [signal], isBackground: true }
    return waitFor(recovery.done, limits)
  }

  function enqueue(service: string, work: () => Promise<void>): void {
    const done = isReady.then(() => order.run(service, work))
    pending.add(done)
    void done.then(() => pending.delete(done))
  }

  function publishAccepted(known: KnownDeployment, origin: Origin): Promise<void> {
    const entry = acceptedEntry(known, origin)
    // A request for a deployment that has ended has messages of its own.
    const { messageId } = outcomeOf(known) === undefined ? entry : origin
    return publishOnce(known, { ...entry, messageId })
  }

  async function publishOnce(known: KnownDeployment, entry: DeploymentEntry): Promise<void> {
    // The first request publishes the events for all that join it. If an earlier process made the
    // write, its entry replaces this one once it is read; no request waits for that.
    if (tracked.find(entry) === undefined) {
      tracked.track(entry)
      await journal.put(entry)
      if (tracked.has(entry)) {
        publisher.publish(known, entry)
      }
    }
  }

  return {
    prepare: createPrepare({ journal, tracked, publisher, recovery, enqueue }),
    publishAccepted,

    async trackJoined(known, origin) {
      if (!recovery.isDone()) {
        await publishOnce(known, acceptedEntry(known, origin))
      }
    },

    async publishRefused(refusal) {
      const entry = refusedEntry(refusedEvent(refusal))
      await journal.put(entry)
      enqueue(refusal.service, () => publisher.publishEvent(entry))
    },

    async idle() {
      await Promise.all(pending)
      try {
        await notifier.idle?.()
      } catch (error) {
        logger.error({ reason: errorMessage(error) }, 'notifier failed')
      }
    },
  }
}

function acceptedEntry({ deployment }: KnownDeployment, origin: Origin): DeploymentEntry {
  const state = deployment.unwritten === 'superseded' ? 'published' : 'committed'
  return journalEntry(deployment, { origin, state })
}
