// The messages that wait for their delivery to one destination, and the limits of their number, size and age.

import type { DeploymentEvent } from './deployment-event.ts'
import { currentMoment, isTooOld, type Moment } from './message-age.ts'

/** A message that waits for its delivery. */
export interface Message {
  /** Unique; the key of its record in the spool. */
  readonly key: string
  readonly event: DeploymentEvent
  /**
   * When an earlier process queued it, in milliseconds since 1970 by the wall clock. Undefined: this
   * process queued it.
   */
  readonly queuedAtMs?: number
}

/** The limits of a queue. */
export interface DeliveryLimits {
  /** The maximum number of waiting messages. Default: 10,000. */
  readonly maxWaiting?: number
  /** The maximum total size of waiting messages, in characters of JSON. Default: 16 Mi. */
  readonly maxWaitingSize?: number
  /**
   * How long a message is retried, in milliseconds. Default: 24 hours. A message of an earlier process
   * is retried for at least an hour.
   */
  readonly maxAgeMs?: number
}

/** The waiting messages of a destination. */
export interface WaitingMessages {
  /** For how many hours a message is retried. */
  readonly maxAgeHours: number
  add(message: Message): void
  /**
   * Removes a message.
   *
   * @param message The message.
   * @returns Whether it was still waiting.
   */
  remove(message: Message): boolean
  count(): number
  /** All messages in the order in which they were added. Messages may be removed meanwhile. */
  all(): Iterable<Message>
  /** The limit that all messages together exceed, such as `10000 messages`; undefined: none. */
  exceededLimit(): string | undefined
  /** Whether a message has waited for longer than messages are retried. */
  isExpired(message: Message): boolean
}

interface WaitingMessage {
  /** In characters of JSON. */
  readonly size: number
  readonly added: Moment
}

const HOUR_MS = 60 * 60 * 1000
const DAY_MS = 24 * HOUR_MS

/**
 * Creates the waiting messages of a destination.
 *
 * @param limits Their limits.
 * @returns The messages, none so far. The limits do not remove messages; the owner does.
 */
export function createWaitingMessages({
  maxAgeMs = DAY_MS,
  maxWaiting = 10_000,
  maxWaitingSize = 16 * 1024 * 1024,
}: DeliveryLimits): WaitingMessages {
  const waiting = new Map<Message, WaitingMessage>()
  let totalSize = 0

  return {
    maxAgeHours: maxAgeMs / HOUR_MS,

    add(message) {
      const size = JSON.stringify(message.event).length
      waiting.set(message, { size, added: currentMoment() })
      totalSize += size
    },

    remove(message) {
      totalSize -= waiting.get(message)?.size ?? 0
      return waiting.delete(message)
    },

    count: () => waiting.size,
    all: () => waiting.keys(),

    exceededLimit() {
      if (waiting.size > maxWaiting) {
        return `${maxWaiting} messages`
      }
      return totalSize > maxWaitingSize ? `${maxWaitingSize} characters` : undefined
    },

    isExpired(message) {
      const now = currentMoment()
      const { queuedAtMs } = message
      return isTooOld({ added: waiting.get(message)?.added ?? now, queuedAtMs, now }, maxAgeMs)
    },
  }
}
