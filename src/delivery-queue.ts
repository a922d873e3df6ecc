// The messages for one destination: in order for each service, tried until they are taken.

import { backoffMs } from './backoff.ts'
import { DeliveryFault } from './delivery-fault.ts'
import type { DeploymentEvent } from './deployment-event.ts'
import type { Destination, Logger } from './ports.ts'

/** A message that waits for its delivery. */
export interface Message {
  /** No other message's; the spool has it under this key. */
  readonly key: string
  readonly event: DeploymentEvent
  /** When it was queued first, in milliseconds since 1970. */
  readonly queuedAtMs: number
}

/** How many messages of a destination came to which end, since the start. */
export interface DeliveryCounts {
  /** The name of the destination. */
  readonly destination: string
  /** Not delivered so far. */
  readonly waiting: number
  readonly delivered: number
  /** Tries that failed and were, or are to be, followed by another. */
  readonly retried: number
  /** Given up: each is in the log. */
  readonly dropped: number
}

/** What bounds a queue. */
export interface DeliveryLimits {
  /** How many messages may wait. Default: 10,000. */
  readonly maxWaiting?: number
  /** How large they may be together, in characters of JSON. Default: 16 Mi. */
  readonly maxWaitingSize?: number
  /** For how long a message is tried, in milliseconds. Default: 24 hours. */
  readonly maxAgeMs?: number
}

/** What a queue works with. */
export interface DeliveryTools {
  readonly logger: Logger
  /** Is told of each message that is delivered or given up. */
  readonly settled: (message: Message) => void
}

/** The queue of one destination. */
export interface DeliveryQueue {
  /** Adds a message; where the queue is full, the oldest is given up. */
  add(message: Message): void
  /** Tries at once what waits for its next try. */
  retryNow(): void
  /** Resolves when nothing waits. */
  drained(): Promise<void>
  /**
   * Ends all tries and the destination's connections.
   *
   * @returns What still waits, in order.
   */
  stop(): readonly Message[]
  /** Gives a message up: it is counted, and logged with its content. */
  drop(message: Message, reason: string): void
  counts(): DeliveryCounts
}

/** The messages of one service, in order. At most one is under way. */
interface Lane {
  readonly service: string
  readonly messages: Message[]
  isBusy: boolean
  /** Tries of the first message that failed in a row. */
  failures: number
  /** When the first of them failed, on the clock of successes. */
  failedSince: number
  timer: ReturnType<typeof setTimeout> | undefined
}

// Of different services.
const MAX_AT_ONCE = 8
const DAY_MS = 24 * 60 * 60 * 1000

/**
 * Makes the queue of a destination.
 *
 * @param destination Where messages go.
 * @param tools The logger, and who is told.
 * @param limits What bounds the queue.
 * @returns The queue, empty.
 */
export function createDeliveryQueue(
  destination: Destination,
  tools: DeliveryTools,
  limits: DeliveryLimits = {},
): DeliveryQueue {
  const { maxWaiting = 10_000, maxWaitingSize = 16 * 1024 * 1024, maxAgeMs = DAY_MS } = limits
  const { name } = destination
  const { logger, settled } = tools
  const stopping = new AbortController()
  const lanes = new Map<string, Lane>()
  /** In the order in which they came, with their sizes. */
  const waiting = new Map<Message, number>()
  const ready = new Set<Lane>()
  const onDrained: (() => void)[] = []
  const counted = { delivered: 0, retried: 0, dropped: 0 }
  let waitingSize = 0
  let atWork = 0
  let backingOff = 0
  let isFailing = false
  /** Counts successes: a clock that shows what was delivered before what failed. */
  let successes = 0
  let pausedUntilMs = 0
  let pauseTimer: ReturnType<typeof setTimeout> | undefined

  function add(message: Message): void {
    const size = JSON.stringify(message.event).length
    waiting.set(message, size)
    waitingSize += size
    const lane = laneOf(message)
    lane.messages.push(message)
    if (lane.messages.length === 1) {
      ready.add(lane)
    }
    makeRoom()
    work()
  }

  function laneOf({ event }: Message): Lane {
    // One that was refused has no ID, and what it named is all that is known.
    const service = event.serviceId === '' ? event.service : event.serviceId
    const lane = lanes.get(service) ?? {
      service,
      messages: [],
      isBusy: false,
      failures: 0,
      failedSince: 0,
      timer: undefined,
    }
    lanes.set(service, lane)
    return lane
  }

  function makeRoom(): void {
    for (const message of waiting.keys()) {
      if (waiting.size <= maxWaiting && waitingSize <= maxWaitingSize) {
        break
      }
      const lane = laneOf(message)
      if (!lane.isBusy || lane.messages[0] !== message) {
        const bound =
          waiting.size > maxWaiting ? `${maxWaiting} messages` : `${maxWaitingSize} characters`
        drop(message, `more than ${bound} wait for this destination; the oldest make room`)
      }
    }
  }

  /** Begins as many tries as may be under way at once. */
  function work(): void {
    const isPaused = Date.now() < pausedUntilMs
    for (const lane of ready) {
      if (atWork >= MAX_AT_ONCE || isPaused || stopping.signal.aborted) {
        break
      }
      ready.delete(lane)
      const [message] = lane.messages
      if (message !== undefined) {
        atWork += 1
        lane.isBusy = true
        void deliver(message, lane).then(() => {
          atWork -= 1
          lane.isBusy = false
          next(lane)
          work()
        })
      }
    }
  }

  function next(lane: Lane): void {
    if (lane.timer === undefined && lane.messages.length > 0) {
      ready.add(lane)
    }
  }

  async function deliver(message: Message, lane: Lane): Promise<void> {
    if (Date.now() - message.queuedAtMs > maxAgeMs) {
      drop(message, `nobody took it for ${maxAgeMs / 3_600_000} hours`)
      lane.failures = 0
      return
    }
    try {
      await destination.deliver(message.event, stopping.signal)
    } catch (error) {
      failed(message, lane, error)
      return
    }
    lane.failures = 0
    counted.delivered += 1
    settle(message)
    wakeOthers()
    if (isFailing && backingOff === 0) {
      isFailing = false
      logger.info({ destination: name, waiting: waiting.size }, 'messages are delivered again')
    }
  }

  /**
   * Who was turned away while the destination was away has waited long enough. Those that failed
   * between two successes fail for a reason of their own.
   */
  function wakeOthers(): void {
    for (const lane of backingOff === 0 ? [] : lanes.values()) {
      if (lane.timer !== undefined && lane.failedSince === successes) {
        wake(lane)
      }
    }
    successes += 1
  }

  function failed(message: Message, lane: Lane, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    const { isFinal = false, retryAfterMs } = error instanceof DeliveryFault ? error : {}
    if (stopping.signal.aborted) {
      return
    }
    if (isFinal) {
      lane.failures = 0
      drop(message, reason)
      return
    }
    lane.failedSince = lane.failures === 0 ? successes : lane.failedSince
    lane.failures += 1
    counted.retried += 1
    if (retryAfterMs !== undefined) {
      pause(retryAfterMs)
    }
    if (!isFailing) {
      isFailing = true
      logger.warn(
        { destination: name, reason, waiting: waiting.size },
        'messages are not delivered for now',
      )
    }
    backingOff += 1
    lane.timer = setTimeout(wake, backoffMs(lane.failures), lane)
  }

  function wake(lane: Lane): void {
    clearTimeout(lane.timer)
    lane.timer = undefined
    backingOff -= 1
    next(lane)
    work()
  }

  /** The other side wants to be left alone, whatever the service. */
  function pause(forMs: number): void {
    pausedUntilMs = Math.max(pausedUntilMs, Date.now() + forMs)
    clearTimeout(pauseTimer)
    pauseTimer = setTimeout(work, Math.max(0, pausedUntilMs - Date.now()) + 1)
  }

  function settle(message: Message): void {
    const lane = laneOf(message)
    lane.messages.splice(lane.messages.indexOf(message), 1)
    if (lane.messages.length === 0 && lane.timer !== undefined) {
      clearTimeout(lane.timer)
      lane.timer = undefined
      backingOff -= 1
    }
    if (lane.messages.length === 0) {
      ready.delete(lane)
      lanes.delete(lane.service)
    }
    waitingSize -= waiting.get(message) ?? 0
    waiting.delete(message)
    settled(message)
    if (waiting.size === 0) {
      for (const resolve of onDrained.splice(0)) {
        resolve()
      }
    }
  }

  function drop(message: Message, reason: string): void {
    counted.dropped += 1
    logger.error({ destination: name, ...message.event, reason }, 'message not delivered')
    settle(message)
  }

  return {
    add,
    drop,

    retryNow() {
      for (const lane of lanes.values()) {
        if (lane.timer !== undefined) {
          wake(lane)
        }
      }
    },

    drained: () =>
      new Promise((resolve) => {
        onDrained.push(resolve)
        if (waiting.size === 0) {
          resolve()
        }
      }),

    stop() {
      stopping.abort()
      clearTimeout(pauseTimer)
      for (const { timer } of lanes.values()) {
        clearTimeout(timer)
      }
      destination.close?.()
      return [...waiting.keys()]
    },

    counts: () => ({ destination: name, waiting: waiting.size, ...counted }),
  }
}
