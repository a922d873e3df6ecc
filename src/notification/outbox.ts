// The notifier that delivers: every event goes to each destination that wants it, at least once.

import { waitFor } from '../async/wait-for.ts'
import type { Logger } from '../logger.ts'
import type { Message } from './backlog.ts'
import {
  createDeliveryQueue,
  type DeliveryCounts,
  type DeliveryLimits,
  type DeliveryQueue,
  type DeliveryTools,
} from './delivery-queue.ts'
import { isDeploymentEvent } from './deployment-event.ts'
import type { Destination } from './destination.ts'
import type { Notifier } from './notifier.ts'
import type { Spool, SpooledRecord } from './spool.ts'

/** What an outbox is made of. */
export interface OutboxOptions extends DeliveryLimits {
  readonly destinations: readonly Destination[]
  readonly logger: Logger
  /**
   * Keeps messages until they are delivered; nobody else writes to it. Default: they are kept in
   * memory alone.
   */
  readonly spool?: Spool
}

/** A notifier that keeps messages until they are delivered. */
export interface Outbox {
  /** Takes an event; resolves once its messages would outlive a crash, as far as there is a spool. */
  readonly notify: Notifier
  /** What became of the messages so far, for each destination in their order. */
  counts(): readonly DeliveryCounts[]
  /**
   * Delivers what waits, and ends. What is notified afterwards is kept in the spool, or given up;
   * another call gives what the first one did.
   *
   * @param timeoutMs The longest that it may take, in milliseconds.
   * @returns How many messages are kept for the next start, and how many were given up.
   */
  close(timeoutMs: number): Promise<{ readonly kept: number; readonly givenUp: number }>
}

// What an earlier process left is read at once, or when that process ends.
const RESUME_WITHIN_MS = 60_000

interface OpenDestination {
  readonly destination: Destination
  readonly queue: DeliveryQueue
}

interface SpooledMessage {
  readonly destination: string
  readonly event: Message['event']
  readonly queuedAtMs: number
}

/**
 * Makes an outbox. What an earlier one left in the spool is delivered first.
 *
 * @param options Destinations, logger, spool, and bounds of each destination's queue.
 * @returns The outbox, at work.
 * @throws TypeError when two destinations have one name.
 * @example
 * ```ts
 * const destinations = [createWebhook({ name: 'chat', url: 'https://chat.example.com/hook' })]
 * const outbox = createOutbox({ destinations, logger })
 * createDeployer({ token, swarm, logger, notifier: outbox.notify })
 * ```
 */
export function createOutbox(options: OutboxOptions): Outbox {
  const { destinations, logger, spool, ...limits } = options
  const tools: DeliveryTools = {
    ...{ logger, settled: forget },
    ...(spool?.owns === undefined
      ? {}
      : { owns: async ({ key }) => (await spool.owns?.(key)) !== false }),
  }
  const queues = new Map(
    destinations.map((destination) => {
      const queue = createDeliveryQueue(destination, tools, limits)
      return [destination.name, { destination, queue }] as const
    }),
  )
  if (queues.size < destinations.length) {
    throw new TypeError('Cannot use `destinations`: each must have a name of its own')
  }
  const keys = createKeys()
  const removals = new Set<Promise<void>>()
  /** The keys of all messages in the queues. */
  const waiting = new Set<string>()
  const closingSoon = new AbortController()
  const resumed = spool === undefined ? Promise.resolve() : resume(spool)
  /** What comes in now follows what an earlier process left, unless that cannot be read for long. */
  const begun = waitFor(resumed, { timeoutMs: RESUME_WITHIN_MS, signals: [closingSoon.signal] })
  let closing: ReturnType<Outbox['close']> | undefined
  let isClosed = false

  async function resume(spool: Spool): Promise<void> {
    spool.onLeft?.((records) => addAll(records.filter(({ key }) => !waiting.has(key))))
    const records = await spool.read()
    // Others were put while the spool was being read.
    addAll(records.filter(({ key }) => !keys.isOwn(key)))
  }

  function addAll(records: readonly SpooledRecord[]): void {
    const strays = new Map<string, number>()
    for (const record of records) {
      keys.passOver(record.key)
      const message = readMessage(record)
      const queue = message && queues.get(message.destination)?.queue
      if (message === undefined) {
        logger.error({ key: record.key }, 'spooled message cannot be read')
      } else if (queue === undefined) {
        strays.set(message.destination, (strays.get(message.destination) ?? 0) + 1)
      } else {
        waiting.add(record.key)
        queue.add({ key: record.key, event: message.event, queuedAtMs: message.queuedAtMs })
      }
    }
    for (const [destination, messages] of strays) {
      logger.warn({ destination, messages }, 'messages wait for a destination that is not set')
    }
  }

  function forget({ key }: Message): void {
    waiting.delete(key)
    const removal = spool?.remove(key)
    if (removal !== undefined) {
      removals.add(removal)
      void removal.then(() => removals.delete(removal))
    }
  }

  /** Queues an event, and resolves once it is put. */
  async function send(event: Message['event'], to: OpenDestination): Promise<void> {
    const message: Message = { key: keys.next(), event }
    const record: SpooledMessage = {
      destination: to.destination.name,
      ...{ event, queuedAtMs: Date.now() },
    }
    // Before it is queued: a removal must not come before the put.
    const put = spool?.put(message.key, record)
    waiting.add(message.key)
    to.queue.add(message)
    await put
    if (isClosed) {
      leaveBehind(message, to.queue)
    }
  }

  /** Whether the spool keeps the message for the next start; otherwise it is given up. */
  function leaveBehind(message: Message, queue: DeliveryQueue): boolean {
    if (spool?.isSafe(message.key) === true) {
      return true
    }
    // It is not removed from the spool, which may come to keep it after all.
    queue.giveUp(message, 'Deployer is shutting down')
    return false
  }

  async function drain(): Promise<void> {
    const all = [...queues.values()].map(({ queue }) => queue)
    for (const queue of all) {
      queue.retryNow()
    }
    // Others may come meanwhile.
    while (all.some((queue) => queue.counts().waiting > 0)) {
      await Promise.all(all.map((queue) => queue.drained()))
    }
    // What is delivered and not removed would be told again by the next process.
    await Promise.all(removals)
  }

  async function end(timeoutMs: number): ReturnType<Outbox['close']> {
    const startedAt = performance.now()
    await waitFor(resumed, { timeoutMs: timeoutMs / 4, signals: [] })
    closingSoon.abort()
    await begun
    const leftMs = Math.max(0, timeoutMs - (performance.now() - startedAt))
    await waitFor(drain(), { timeoutMs: leftMs, signals: [] })
    isClosed = true
    const left = [...queues.values()].flatMap(({ queue }) =>
      queue.stop().map((message) => leaveBehind(message, queue)),
    )
    const kept = left.filter(Boolean).length
    return { kept, givenUp: left.length - kept }
  }

  return {
    async notify(event) {
      await begun
      const wanting = [...queues.values()].filter(({ destination }) =>
        destination.events.includes(event.event),
      )
      await Promise.all(wanting.map((to) => send(event, to)))
    },

    counts: () => [...queues.values()].map(({ queue }) => queue.counts()),

    close(timeoutMs) {
      closing ??= end(timeoutMs)
      return closing
    },
  }
}

interface Keys {
  /** Grows with every message, over restarts too. */
  next(): string
  /** Whether `next` gave it. */
  isOwn(key: string): boolean
  passOver(key: string): void
}

function createKeys(): Keys {
  // Should two processes share a spool, neither overwrites what the other has.
  const own = crypto.randomUUID().slice(0, 8)
  let latest = 0
  return {
    next() {
      latest += 1
      return `${String(latest).padStart(12, '0')}-${own}`
    },
    isOwn: (key) => key.endsWith(`-${own}`),
    passOver(key) {
      const [, number = '0'] = /^(\d{12})-/.exec(key) ?? []
      latest = Math.max(latest, Number(number))
    },
  }
}

function readMessage({ value }: SpooledRecord): SpooledMessage | undefined {
  const { destination, event, queuedAtMs } = (value ?? {}) as Partial<SpooledMessage>
  return typeof destination === 'string' &&
    isDeploymentEvent(event) &&
    typeof queuedAtMs === 'number'
    ? { destination, event, queuedAtMs }
    : undefined
}
