// The messages that wait for one destination: in order, and for each service in a lane of its own.

import type { DeploymentEvent } from './deployment-event.ts'

/** A message that waits for its delivery. */
export interface Message {
  /** No other message's; the spool has it under this key. */
  readonly key: string
  readonly event: DeploymentEvent
  /**
   * When an earlier process queued it, in milliseconds since 1970 by the wall clock. Missing: this
   * process did.
   */
  readonly queuedAtMs?: number
}

/** The messages of one service, in order, and how it goes with them. */
export interface ServiceMessages {
  readonly service: string
  readonly messages: Message[]
  /** How many tries have failed in a row. */
  failures: number
  /** After how many successes of the destination the first of them failed. */
  failedSince: number
  /** Ends the wait for the next try. */
  timer: ReturnType<typeof setTimeout> | undefined
}

/** What bounds a backlog. */
export interface BacklogLimits {
  /** How many messages may wait. Default: 10,000. */
  readonly maxWaiting?: number
  /** How large they may be together, in characters of JSON. Default: 16 Mi. */
  readonly maxWaitingSize?: number
}

/** What waits for a destination. */
export interface Backlog {
  readonly count: number
  /** Adds a message at the end of its service's lane; a lane is made where there is none. */
  add(message: Message): ServiceMessages
  /**
   * Removes a message, and its lane with the last one.
   *
   * @returns The lane; undefined when the message does not wait here.
   */
  remove(message: Message): ServiceMessages | undefined
  /** All messages in the order in which they came; some may be removed meanwhile. */
  messages(): IterableIterator<Message>
  /** The bound that is exceeded, such as `10000 messages`; undefined when none is. */
  excess(): string | undefined
}

/**
 * Makes a backlog.
 *
 * @param limits What bounds it.
 * @returns The backlog, empty.
 */
export function createBacklog({
  maxWaiting = 10_000,
  maxWaitingSize = 16 * 1024 * 1024,
}: BacklogLimits): Backlog {
  const lanes = new Map<string, ServiceMessages>()
  const sizes = new Map<Message, number>()
  let totalSize = 0

  function laneOf(service: string): ServiceMessages {
    const lane = lanes.get(service) ?? {
      service,
      messages: [],
      failures: 0,
      failedSince: 0,
      timer: undefined,
    }
    lanes.set(service, lane)
    return lane
  }

  return {
    get count() {
      return sizes.size
    },

    add(message) {
      const size = JSON.stringify(message.event).length
      sizes.set(message, size)
      totalSize += size
      // By the name, which a service keeps all its life: an event of one that was refused has no ID.
      const lane = laneOf(message.event.service)
      lane.messages.push(message)
      return lane
    },

    remove(message) {
      const size = sizes.get(message)
      if (size === undefined) {
        return undefined
      }
      sizes.delete(message)
      totalSize -= size
      const lane = laneOf(message.event.service)
      lane.messages.splice(lane.messages.indexOf(message), 1)
      if (lane.messages.length === 0) {
        lanes.delete(lane.service)
      }
      return lane
    },

    messages: () => sizes.keys(),

    excess() {
      if (sizes.size > maxWaiting) {
        return `${maxWaiting} messages`
      }
      return totalSize > maxWaitingSize ? `${maxWaitingSize} characters` : undefined
    },
  }
}
