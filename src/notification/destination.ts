// The destination port: where the outbox delivers events.

import type { DeploymentEvent, DeploymentEventName } from './deployment-event.ts'

/** A receiver of messages. */
export interface Destination {
  /** Unique; it appears in logs and counts, so it must not be secret. */
  readonly name: string
  /** The names of the events that it receives. */
  readonly events: readonly DeploymentEventName[]
  /**
   * Makes one attempt to deliver an event.
   *
   * @param event The event.
   * @param signal Aborts the attempt.
   * @returns Nothing, once the receiver has accepted the event.
   * @throws DeliveryError that states whether and when to retry. After any other error the event is
   *   retried.
   */
  deliver(event: DeploymentEvent, signal: AbortSignal): Promise<void>
  /** Closes open connections. */
  close?(): void
}
