// Collects the events of a service while its rollout is watched, and derives from them why the service
// has to be read again.

import { createAutoResetEvent } from '../async/auto-reset-event.ts'
import { nextSequenceNumber } from '../async/sequence-number.ts'
import type { ServiceEvent } from '../swarm/swarm.ts'

/** Why to read the service again, and the sequence number from which on a reading is new enough. */
export type Reason = Cause & { readonly since: number }

type Cause =
  /** The engine has started the update. No reading is needed: an event reports the end. */
  | { readonly kind: 'started'; readonly event: ServiceEvent }
  /** The update has ended in some way; the tasks show more. */
  | { readonly kind: 'ended' }
  /** Events may have been missed. */
  | { readonly kind: 'gap' }
  /** The service changed. */
  | { readonly kind: 'changed' }
  /** No event: the time is up, or the wait was ended by `wake`. */
  | { readonly kind: 'none' }

/** The events of one watch. */
export interface EventBuffer {
  add(event: ServiceEvent): void
  /** Reports that events may have been missed. */
  gap(): void
  /** Ends a wait early. */
  wake(): void
  /**
   * Waits for an event.
   *
   * @param timeoutMs The longest wait, in milliseconds.
   * @returns The reason that all events since the last call give together.
   */
  next(timeoutMs: number): Promise<Reason>
}

/**
 * Creates a buffer.
 *
 * @param image The image that the watched deployment wrote. The event of that write is ignored.
 * @returns The buffer, empty.
 */
export function createEventBuffer(image: string): EventBuffer {
  const hasEvents = createAutoResetEvent()
  let events: ServiceEvent[] = []
  let hasGap = false
  let latest = 0

  return {
    add(event) {
      const isOwnWrite = event.action === 'update' && event.image === image
      if (!isOwnWrite) {
        events.push(event)
        latest = nextSequenceNumber()
        hasEvents.set()
      }
    },

    gap() {
      hasGap = true
      latest = nextSequenceNumber()
      hasEvents.set()
    },

    wake: hasEvents.set,

    async next(timeoutMs) {
      const waitsSince = nextSequenceNumber()
      await hasEvents.wait(timeoutMs)
      const cause: Cause = hasGap ? { kind: 'gap' } : causeOf(events)
      events = []
      hasGap = false
      return { ...cause, since: cause.kind === 'none' ? waitsSince : latest }
    },
  }
}

function causeOf(events: readonly ServiceEvent[]): Cause {
  const [first] = events
  if (first === undefined) {
    return { kind: 'none' }
  }
  if (events.every(({ updateState }) => updateState === 'updating')) {
    return { kind: 'started', event: first }
  }
  const isEnd = events.some(
    ({ updateState = 'updating' }) =>
      updateState !== 'updating' && updateState !== 'rollback_started',
  )
  return { kind: isEnd ? 'ended' : 'changed' }
}
