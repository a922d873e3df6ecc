// The port of an update to the notifications: it stores and publishes the events of deployments.

import type { Deployment } from '../deployment/deployment.ts'
import type { Origin, RejectedRequest } from '../notification/deployment-event.ts'
import type { KnownDeployment } from '../rollout/known-deployment.ts'

/** A stored update that is about to be sent. Exactly one of its methods is called, once. */
export interface PendingUpdate {
  /** The engine took the update. Resolves once this is stored. */
  committed(deployment: KnownDeployment): Promise<void>
  /** The engine refused the update. */
  aborted(): void
  /** It is unknown whether the engine took the update. */
  uncertain(): void
}

/** Publishes the events of updates. Its promises resolve once an event is stored. */
export interface UpdatePublisher {
  /** Stores a deployment before its update is sent. */
  prepare(deployment: Deployment, origin: Origin): Promise<PendingUpdate>
  /** Publishes the events of a deployment that is accepted without an update. */
  publishAccepted(deployment: KnownDeployment, origin: Origin): Promise<void>
  /** Stores a deployment that a request joined by its idempotency key. */
  trackJoined(deployment: KnownDeployment, origin: Origin): Promise<void>
  /** Publishes that a request was rejected. */
  publishRefused(request: RejectedRequest): Promise<void>
  /** Resolves once all events so far are published, and their first delivery attempts have ended. */
  idle(): Promise<void>
}
