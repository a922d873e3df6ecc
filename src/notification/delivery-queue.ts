// The messages of one destination: delivered in order for each service, retried until they are accepted.

import { backoffMs } from '../async/backoff.ts'
import { unref } from '../async/unref.ts'
import type { Logger } from '../logger.ts'
import { DeliveryError } from './delivery-error.ts'
import type { Destination } from './destination.ts'
import { createWaitingMessages, type DeliveryLimits, type Message } from './waiting-messages.ts'

/** The number of messages of a destination by result, since the start. */
export interface DeliveryCounts {
  /** The name of the destination. */
  readonly destination: string
  /** Not delivered so far. */
  readonly waiting: number
  readonly delivered: number
  /** Attempts that failed and are followed by another one. */
  readonly retried: number
  /** Given up: each is in the log. */
  readonly dropped: number
}

/** What a queue works with. */
export interface DeliveryTools {
  readonly logger: Logger
  /** Called with each message that was delivered or dropped. */
  readonly settled: (message: Message) => void
  /**
   * Whether this process still owns a message, or another process has taken it over. Default: it owns
   * all messages.
   */
  readonly owns?: (message: Message) => Promise<boolean>
}

/** The queue of one destination. */
export interface DeliveryQueue {
  /**
   * Adds a message. When the queue is full, the oldest message is dropped. After
   * {@link DeliveryQueue.stop} the message is only counted.
   */
  add(message: Message): void
  /** Retries at once every message that waits for its next attempt. */
  retryNow(): void
  /** Resolves when no message waits. */
  drained(): Promise<void>
  /** Resolves when no attempt is running: messages that still wait are retried later. */
  idle(): Promise<void>
  /**
   * Ends all attempts and the connections of the destination.
   *
   * @returns The messages that still wait, in order.
   */
  stop(): readonly Message[]
  /** Gives up a waiting message: it is counted and logged with its content; `settled` is not called. */
  giveUp(message: Message, reason: string): void
  counts(): DeliveryCounts
}

/** The waiting messages of one service. */
interface ServiceMessages {
  readonly service: string
  readonly messages: Message[]
  /** How many attempts have failed in a row. */
  failures: number
  /** How many messages were delivered to the destination when the first of these attempts failed. */
  failedSince: number
  /** The earliest time of the next attempt, by the monotonic clock. */
  retryAtMs: number
}

// Attempts for different services.
const MAX_AT_ONCE = 8
// Also when the destination asks for a longer pause.
const MAX_PAUSE_MS = 24 * 60 * 60 * 1000

/**
 * Creates the queue of a destination. Its timers do not keep the process alive.
 *
 * @param destination Where messages are delivered.
 * @param tools The logger, and callbacks of the owner of the messages.
 * @param limits The limits of the queue.
 * @returns The queue, empty.
 */
export function createDeliveryQueue(
  destination: Destination,
  { logger, settled, owns }: DeliveryTools,
  limits: DeliveryLimits = {},
): DeliveryQueue {
  const { name } = destination
  const stopping = new AbortController()
  /** By the name of the service, in the order in which attempts start. */
  const services = new Map<string, ServiceMessages>()
  const waiting = createWaitingMessages(limits)
  const running = new Set<Message>()
  const onDrained: (() => void)[] = []
  const onIdle: (() => void)[] = []
  const counted = { delivered: 0, retried: 0, dropped: 0 }
  let pausedUntilMs = 0
  let isUnreachable = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function add(message: Message): void {
    waiting.add(message)
    // By name: the event of a rejected request has no service ID.
    const { service } = message.event
    const queued = services.get(service)
    if (queued === undefined) {
      const fresh = { service, messages: [message], failures: 0, failedSince: 0, retryAtMs: 0 }
      services.set(service, fresh)
    } else {
      queued.messages.push(message)
    }
    if (!stopping.signal.aborted) {
      makeRoom()
      schedule()
    }
  }

  function makeRoom(): void {
    for (const message of waiting.all()) {
      const limit = waiting.exceededLimit()
      if (limit === undefined) {
        break
      }
      if (!running.has(message)) {
        drop(message, `more than ${limit} wait for this destination; the oldest is dropped`)
      }
    }
  }

  /** Starts an attempt for each service that is due, and sets the timer for the next one. */
  function schedule(): void {
    clearTimeout(timer)
    const nowMs = performance.now()
    let nextMs = Number.POSITIVE_INFINITY
    for (const queued of services.values()) {
      if (running.size >= MAX_AT_ONCE || stopping.signal.aborted) {
        // The end of an attempt schedules the next one.
        return
      }
      const [first] = queued.messages
      const dueMs = Math.max(queued.retryAtMs, pausedUntilMs)
      if (first === undefined || running.has(first)) {
        continue
      }
      if (dueMs > nowMs) {
        nextMs = Math.min(nextMs, dueMs)
      } else {
        dropExpired(queued)
        startAttempt(queued)
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY) {
      timer = unref(setTimeout(schedule, Math.ceil(nextMs - nowMs)))
    }
  }

  /** Only messages that failed in this process, and those behind them, which waited as long. */
  function dropExpired({ messages, failures }: ServiceMessages): void {
    for (const message of failures > 0 ? [...messages] : []) {
      if (!waiting.isExpired(message)) {
        break
      }
      drop(message, `it was not accepted within ${waiting.maxAgeHours} hours`)
    }
  }

  function startAttempt(queued: ServiceMessages): void {
    const [message] = queued.messages
    if (message !== undefined) {
      running.add(message)
      void attempt(message, queued)
    }
  }

  async function attempt(message: Message, queued: ServiceMessages): Promise<void> {
    const failure = await deliver(message)
    running.delete(message)
    if (failure === undefined) {
      succeeded(message, queued)
    } else {
      failed(message, { queued, error: failure.error })
    }
    schedule()
    if (running.size === 0) {
      resolveAll(onIdle)
    }
  }

  async function deliver(message: Message): Promise<{ readonly error: unknown } | undefined> {
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

  function succeeded(message: Message, queued: ServiceMessages): void {
    reset(queued)
    if (!remove(message)) {
      return
    }
    counted.delivered += 1
    settled(message)
    // Services that failed since the last success retry at once: the destination is reachable again.
    // Those that also failed before it have a problem of their own.
    for (const other of services.values()) {
      if (other.failures > 0 && other.failedSince === counted.delivered - 1) {
        other.retryAtMs = 0
      }
    }
    if (isUnreachable && [...services.values()].every(({ failures }) => failures === 0)) {
      isUnreachable = false
      logger.info({ destination: name, waiting: waiting.count() }, 'messages are delivered again')
    }
  }

  function failed(
    message: Message,
    { queued, error }: { readonly queued: ServiceMessages; readonly error: unknown },
  ): void {
    if (stopping.signal.aborted) {
      return
    }
    const reason = error instanceof Error ? error.message : 'it failed without an error'
    const { isFinal = false, retryAfterMs = 0 } = error instanceof DeliveryError ? error : {}
    if (isFinal) {
      reset(queued)
      drop(message, reason)
      return
    }
    if (!isUnreachable) {
      isUnreachable = true
      const line = { destination: name, reason, waiting: waiting.count() }
      logger.warn(line, 'messages are not delivered for now')
    }
    counted.retried += 1
    const nowMs = performance.now()
    if (retryAfterMs > 0) {
      pausedUntilMs = Math.max(pausedUntilMs, nowMs + Math.min(retryAfterMs, MAX_PAUSE_MS))
    }
    if (queued.failures === 0) {
      queued.failedSince = counted.delivered
    }
    queued.failures += 1
    queued.retryAtMs = nowMs + backoffMs(queued.failures)
  }

  /** The next message of the service has no failures, and follows those of the other services. */
  function reset(queued: ServiceMessages): void {
    queued.failures = 0
    queued.retryAtMs = 0
    if (services.get(queued.service) === queued) {
      services.delete(queued.service)
      services.set(queued.service, queued)
    }
  }

  function drop(message: Message, reason: string): void {
    giveUp(message, reason)
    settled(message)
  }

  function giveUp(message: Message, reason: string): void {
    if (remove(message)) {
      counted.dropped += 1
      logger.error({ ...message.event, destination: name, reason }, 'message not delivered')
    }
  }

  /** Whether the message was still waiting. */
  function remove(message: Message): boolean {
    if (!waiting.remove(message)) {
      return false
    }
    const queued = services.get(message.event.service)
    queued?.messages.splice(queued.messages.indexOf(message), 1)
    if (queued?.messages.length === 0) {
      services.delete(queued.service)
    }
    if (waiting.count() === 0) {
      resolveAll(onDrained)
    }
    return true
  }

  return {
    add,
    giveUp,

    retryNow() {
      for (const queued of services.values()) {
        queued.retryAtMs = 0
      }
      schedule()
    },

    drained: () => resolvesWhen(waiting.count() === 0, onDrained),
    idle: () => resolvesWhen(running.size === 0, onIdle),

    stop() {
      stopping.abort()
      clearTimeout(timer)
      destination.close?.()
      return [...waiting.all()]
    },

    counts: () => ({ destination: name, waiting: waiting.count(), ...counted }),
  }
}

function resolvesWhen(isNow: boolean, later: (() => void)[]): Promise<void> {
  return isNow ? Promise.resolve() : new Promise((resolve) => void later.push(resolve))
}

function resolveAll(waiters: (() => void)[]): void {
  for (const resolve of waiters.splice(0)) {
    resolve()
  }
}
