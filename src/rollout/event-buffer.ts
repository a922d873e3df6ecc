// The events that come in while a rollout is watched, and what they give reason for.

import { createAutoResetEvent } from '../async/auto-reset-event.ts'
import { thisMoment } from '../async/moment.ts'
import type { ServiceEvent } from '../swarm/swarm.ts'

/** Why to look at the service again, and from which moment on a look counts. */
export type Reason = Cause & { readonly since: number }

type Cause =
  /** The engine has begun with the update: no need to look, it will tell of the end. */
  | { readonly kind: 'begun'; readonly event: ServiceEvent }
  /** The update has come to some end, of which the tasks tell more. */
  | { readonly kind: 'ended' }
  /** Events may have been lost. */
  | { readonly kind: 'missed' }
  /** The service changed. */
  | { readonly kind: 'other' }
  /** Nothing happened: the time is up, or somebody wants to know more. */
  | { readonly kind: 'none' }

/** The inbox of one watch. */
export interface EventBuffer {
  add(event: ServiceEvent): void
  /** Something may have been missed. */
  gap(): void
  /** Ends a wait before its time. */
  wake(): void
  /**
   * Waits for an event.
   *
   * @param timeoutMs The longest to wait, in milliseconds.
   * @returns What all events so far give reason for.
   */
  next(timeoutMs: number): Promise<Reason>
}

/**
 * Makes an inbox.
 *
 * @param image The image that the watch's own write names: the event of that write is no news.
 * @returns The inbox, empty.
 */
export function createEventBuffer(image: string): EventBuffer {
  const bell = createAutoResetEvent()
  let events: ServiceEvent[] = []
  let hasMissed = false
  let newsAt = 0

  return {
    add(event) {
      const isOwnWrite = event.action === 'update' && event.image === image
      if (!isOwnWrite) {
        events.push(event)
        newsAt = thisMoment()
        bell.set()
      }
    },

    gap() {
      hasMissed = true
      newsAt = thisMoment()
      bell.set()
    },

    wake: bell.set,

    async next(timeoutMs) {
      const waitsSince = thisMoment()
      await bell.wait(timeoutMs)
      const [seen, isIncomplete] = [events, hasMissed]
      events = []
      hasMissed = false
      const cause: Cause = isIncomplete ? { kind: 'missed' } : causeOf(seen)
      return { ...cause, since: cause.kind === 'none' ? waitsSince : newsAt }
    },
  }
}

function causeOf(events: readonly ServiceEvent[]): Cause {
  const [first] = events
  if (first === undefined) {
    return { kind: 'none' }
  }
  if (events.every(({ updateState }) => updateState === 'updating')) {
    return { kind: 'begun', event: first }
  }
  const isEnd = events.some(
    ({ updateState = 'updating' }) =>
      updateState !== 'updating' && updateState !== 'rollback_started',
  )
  return { kind: isEnd ? 'ended' : 'other' }
}
