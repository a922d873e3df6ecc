// The deliveries to one destination: in order for each service, tried until they are taken.

import { backoffMs } from '../async/backoff.ts'
import type { Logger } from '../logger.ts'
import { type BacklogLimits, createBacklog, type Message, type ServiceMessages } from './backlog.ts'
import { DeliveryError } from './delivery-error.ts'
import type { Destination } from './destination.ts'
import { currentMoment, isTooOld, type Moment } from './message-age.ts'
import { createPause } from './pause.ts'

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
export interface DeliveryLimits extends BacklogLimits {
  /**
   * For how long a message is tried, in milliseconds. Default: 24 hours. One that an earlier process
   * left is tried for at least an hour.
   */
  readonly maxAgeMs?: number
}

/** What a queue works with. */
export interface DeliveryTools {
  readonly logger: Logger
  /** Is told of each message that was delivered or dropped. */
  readonly settled: (message: Message) => void
  /**
   * Whether a message is still this process's to deliver, and not one that another process has taken
   * over. Default: always.
   */
  readonly owns?: (message: Message) => Promise<boolean>
}

/** The queue of one destination. */
export interface DeliveryQueue {
  /**
   * Adds a message; where the queue is full, the oldest is dropped. After {@link DeliveryQueue.stop}
   * it is counted, and nothing else.
   */
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
  /**
   * Gives a message up that waits: it is counted, and logged with its content. Nobody else is told.
   */
  giveUp(message: Message, reason: string): void
  counts(): DeliveryCounts
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
  { logger, settled, owns }: DeliveryTools,
  { maxAgeMs = DAY_MS, ...limits }: DeliveryLimits = {},
): DeliveryQueue {
  const { name } = destination
  const stopping = new AbortController()
  const pause = createPause(work)
  const backlog = createBacklog(limits)
  /** Whose first message may be tried. */
  const ready = new Set<ServiceMessages>()
  const underWay = new Set<Message>()
  /** Whose latest try failed. */
  const failing = new Set<ServiceMessages>()
  /** When each message was added. */
  const addedAt = new WeakMap<Message, Moment>()
  const onDrained: (() => void)[] = []
  const counted = { delivered: 0, retried: 0, dropped: 0 }
  let isAway = false

  function add(message: Message): void {
    const lane = backlog.add(message)
    addedAt.set(message, currentMoment())
    if (stopping.signal.aborted) {
      return
    }
    if (lane.messages.length === 1) {
      ready.add(lane)
    }
    makeRoom()
    work()
  }

  function makeRoom(): void {
    for (const message of backlog.messages()) {
      const bound = backlog.excess()
      if (bound === undefined) {
        break
      }
      if (!underWay.has(message)) {
        drop(message, `more than ${bound} wait for this destination; the oldest make room`)
      }
    }
  }

  /** Begins as many tries as may be under way at once. */
  function work(): void {
    for (const lane of ready) {
      if (underWay.size >= MAX_AT_ONCE || pause.isOn() || stopping.signal.aborted) {
        break
      }
      ready.delete(lane)
      const [message] = lane.messages
      if (message !== undefined && lane.failures > 0 && isExpired(message)) {
        // It failed in this process, and what follows has waited with it: the lane goes on failing.
        drop(message, `nobody took it for ${maxAgeMs / 3_600_000} hours`)
        next(lane)
      } else if (message !== undefined) {
        void attempt(message, lane)
      }
    }
  }

  function isExpired(message: Message): boolean {
    const now = currentMoment()
    const { queuedAtMs } = message
    return isTooOld({ added: addedAt.get(message) ?? now, queuedAtMs, now }, maxAgeMs)
  }

  function next(lane: ServiceMessages): void {
    if (lane.messages.length > 0 && lane.timer === undefined) {
      ready.add(lane)
    }
  }

  async function attempt(message: Message, lane: ServiceMessages): Promise<void> {
    underWay.add(message)
    const fault = await faultOf(message)
    // In one go: nobody may see a lane that is neither under way nor waits.
    underWay.delete(message)
    if (fault === undefined) {
      delivered(message, lane)
    } else {
      failed(message, { lane, ...fault })
    }
    next(lane)
    work()
  }

  async function faultOf(message: Message): Promise<{ readonly error: unknown } | undefined> {
    try {
      if (owns !== undefined && !(await owns(message))) {
        throw new DeliveryError('another process took it over, and delivers it', { isFinal: true })
      }
      await destination.deliver(message.event, stopping.signal)
      return undefined
    } catch (error) {
      return { error }
    }
  }

  function delivered(message: Message, lane: ServiceMessages): void {
    recovered(lane)
    if (!leave(message)) {
      return
    }
    counted.delivered += 1
    settled(message)
    wakeOthers()
    if (isAway && failing.size === 0) {
      isAway = false
      logger.info({ destination: name, waiting: backlog.count }, 'messages are delivered again')
    }
  }

  /**
   * Who was turned away while the destination was away has waited long enough. Those that failed on
   * since before another success fail for a reason of their own.
   */
  function wakeOthers(): void {
    for (const lane of failing) {
      if (lane.timer !== undefined && lane.failedSince === counted.delivered - 1) {
        wake(lane)
      }
    }
  }

  function failed(
    message: Message,
    { lane, error }: { readonly lane: ServiceMessages; readonly error: unknown },
  ): void {
    if (stopping.signal.aborted) {
      return
    }
    const reason = error instanceof Error ? error.message : 'it failed without an error'
    const { isFinal = false, retryAfterMs = 0 } = error instanceof DeliveryError ? error : {}
    if (isFinal) {
      recovered(lane)
      drop(message, reason)
      return
    }
    if (!isAway) {
      isAway = true
      logger.warn(
        { destination: name, reason, waiting: backlog.count },
        'messages are not delivered for now',
      )
    }
    counted.retried += 1
    pause.extend(retryAfterMs)
    if (lane.failures === 0) {
      lane.failedSince = counted.delivered
    }
    lane.failures += 1
    failing.add(lane)
    lane.timer = setTimeout(wake, backoffMs(lane.failures), lane)
  }

  function recovered(lane: ServiceMessages): void {
    lane.failures = 0
    failing.delete(lane)
  }

  function wake(lane: ServiceMessages): void {
    clearTimeout(lane.timer)
    lane.timer = undefined
    ready.add(lane)
    work()
  }

  /** Whether the message was still here. */
  function leave(message: Message): boolean {
    const lane = backlog.remove(message)
    if (lane?.messages.length === 0) {
      clearTimeout(lane.timer)
      ready.delete(lane)
      failing.delete(lane)
    }
    if (backlog.count === 0) {
      for (const resolve of onDrained.splice(0)) {
        resolve()
      }
    }
    return lane !== undefined
  }

  function drop(message: Message, reason: string): void {
    giveUp(message, reason)
    settled(message)
  }

  function giveUp(message: Message, reason: string): void {
    if (leave(message)) {
      counted.dropped += 1
      logger.error({ ...message.event, destination: name, reason }, 'message not delivered')
    }
  }

  return {
    add,
    giveUp,

    retryNow() {
      for (const lane of failing) {
        if (lane.timer !== undefined) {
          wake(lane)
        }
      }
    },

    drained: () =>
      new Promise((resolve) => {
        onDrained.push(resolve)
        if (backlog.count === 0) {
          resolve()
        }
      }),

    stop() {
      stopping.abort()
      pause.cancel()
      for (const { timer } of failing) {
        clearTimeout(timer)
      }
      destination.close?.()
      return [...backlog.messages()]
    },

    counts: () => ({ destination: name, waiting: backlog.count, ...counted }),
  }
}
