// The destination port: where the outbox delivers events.

import type { DeploymentEvent, DeploymentEventName } from './deployment-event.ts'

/** Where messages go. */
export interface Destination {
  /** Names it in logs and counts; no other destination's, and nothing secret. */
  readonly name: string
  /** What it is told of. */
  readonly events: readonly DeploymentEventName[]
  /**
   * Tries once to deliver an event.
   *
   * @param event The event.
   * @param signal Ends the try.
   * @returns Nothing, once the other side has taken it.
   * @throws DeliveryError that tells whether and when to try again; whatever else is thrown is tried
   *   again.
   */
  deliver(event: DeploymentEvent, signal: AbortSignal): Promise<void>
  /** Ends connections that are kept. */
  close?(): void
}
