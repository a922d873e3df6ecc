// The notifier that delivers events: at least once, to each destination that wants them.

import { waitFor } from '../async/wait-for.ts'
import type { Logger } from '../logger.ts'
import { checkOptionNames } from '../text/option-names.ts'
import {
  createDeliveryQueue,
  type DeliveryCounts,
  type DeliveryQueue,
  type DeliveryTools,
} from './delivery-queue.ts'
import { isDeploymentEvent } from './deployment-event.ts'
import type { Destination } from './destination.ts'
import type { Notifier } from './notifier.ts'
import type { Spool, SpooledRecord } from './spool.ts'
import type { DeliveryLimits, Message } from './waiting-messages.ts'

/** The options of an outbox. */
export interface OutboxOptions extends DeliveryLimits {
  readonly destinations: readonly Destination[]
  readonly logger: Logger
  /**
   * Keeps messages until they are delivered; the outbox is its only user. Default: messages are kept
   * in memory only.
   */
  readonly spool?: Spool
}

const OPTIONS: Readonly<Record<keyof OutboxOptions, true>> = {
  destinations: true,
  logger: true,
  spool: true,
  maxWaiting: true,
  maxWaitingSize: true,
  maxAgeMs: true,
}

/** A notifier that keeps messages until they are delivered. */
export interface Outbox {
  /**
   * Accepts an event. Resolves once its messages are queued and, where there is a spool, stored. Its
   * `idle` resolves once no delivery attempt is running.
   */
  readonly notify: Notifier
  /** The number of messages by result, for each destination in the order of the options. */
  counts(): readonly DeliveryCounts[]
  /**
   * Delivers the waiting messages and ends. A message that is notified later is kept in the spool, or
   * given up; a repeated call returns the result of the first one. A process that ends without it
   * loses the messages that wait in memory.
   *
   * @param timeoutMs How long it may take, in milliseconds.
   * @returns How many messages are kept for the next start, and how many were given up.
   */
  close(timeoutMs: number): Promise<{ readonly kept: number; readonly givenUp: number }>
}

// A spool is read at once, or when the process ends that uses it.
const RECOVER_WITHIN_MS = 60_000

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
 * Creates an outbox. Messages that an earlier one left in the spool are delivered first. Without a
 * spool nothing starts before the first event, so that it can be created at module scope of workerd.
 *
 * @param options Destinations, logger, spool, and the limits of the queue of each destination.
 * @returns The outbox.
 * @throws TypeError for an unknown option, and when two destinations have the same name.
 * @example
 * ```ts
 * const destinations = [createWebhook({ name: 'chat', url: 'https://chat.example.com/hook' })]
 * const outbox = createOutbox({ destinations, logger })
 * createDeployer({ token, swarm, logger, notifier: outbox.notify })
 * ```
 */
export function createOutbox(options: OutboxOptions): Outbox {
  checkOptionNames(options, Object.keys(OPTIONS))
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
    throw new TypeError('Cannot use `destinations`: two of them have the same name')
  }
  const keys = createKeys()
  const removals = new Set<Promise<void>>()
  /** The keys of all messages in the queues. */
  const waiting = new Set<string>()
  const closingSoon = new AbortController()
  const recovered = spool === undefined ? undefined : recover(spool)
  /** New messages follow those of an earlier process, unless the spool cannot be read for too long. */
  const isReady =
    recovered &&
    waitFor(recovered, {
      timeoutMs: RECOVER_WITHIN_MS,
      signals: [closingSoon.signal],
      isBackground: true,
    })
  let closing: ReturnType<Outbox['close']> | undefined
  let isClosed = false

  async function recover(spool: Spool): Promise<void> {
    spool.onLeft?.((records) => addAll(records.filter(({ key }) => !waiting.has(key))))
    const records = await spool.read()
    // Others were stored while the spool was being read.
    addAll(records.filter(({ key }) => !keys.isOwn(key)))
  }

  function addAll(records: readonly SpooledRecord[]): void {
    const unknown = new Map<string, number>()
    for (const record of records) {
      keys.passOver(record.key)
      const message = readMessage(record)
      const queue = message && queues.get(message.destination)?.queue
      if (message === undefined) {
        logger.error({ key: record.key }, 'spooled message cannot be read')
      } else if (queue === undefined) {
        unknown.set(message.destination, (unknown.get(message.destination) ?? 0) + 1)
      } else {
        waiting.add(record.key)
        queue.add({ key: record.key, event: message.event, queuedAtMs: message.queuedAtMs })
      }
    }
    for (const [destination, messages] of unknown) {
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

  /** Queues an event, and resolves once it is stored. */
  async function send(event: Message['event'], to: OpenDestination): Promise<void> {
    const message: Message = { key: keys.next(), event }
    const record: SpooledMessage = {
      destination: to.destination.name,
      ...{ event, queuedAtMs: Date.now() },
    }
    // Stored before it is queued: a removal must not precede it.
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
    // The spool keeps its record: it may still be able to store it.
    queue.giveUp(message, 'Deployer is shutting down')
    return false
  }

  async function drain(): Promise<void> {
    const all = [...queues.values()].map(({ queue }) => queue)
    for (const queue of all) {
      queue.retryNow()
    }
    // More messages may be added in the meantime.
    while (all.some((queue) => queue.counts().waiting > 0)) {
      await Promise.all(all.map((queue) => queue.drained()))
    }
    // The next process would deliver again what is delivered but not removed.
    await Promise.all(removals)
  }

  async function end(timeoutMs: number): ReturnType<Outbox['close']> {
    const startedAt = performance.now()
    if (recovered !== undefined) {
      await waitFor(recovered, { timeoutMs: timeoutMs / 4, signals: [] })
    }
    closingSoon.abort()
    await isReady
    const leftMs = Math.max(0, timeoutMs - (performance.now() - startedAt))
    await waitFor(drain(), { timeoutMs: leftMs, signals: [] })
    isClosed = true
    const left = [...queues.values()].flatMap(({ queue }) =>
      queue.stop().map((message) => leaveBehind(message, queue)),
    )
    const kept = left.filter(Boolean).length
    return { kept, givenUp: left.length - kept }
  }

  async function notify(event: Message['event']): Promise<void> {
    await isReady
    const wanting = [...queues.values()].filter(({ destination }) =>
      destination.events.includes(event.event),
    )
    await Promise.all(wanting.map((to) => send(event, to)))
  }

  async function idle(): Promise<void> {
    await Promise.all([...queues.values()].map(({ queue }) => queue.idle()))
  }

  return {
    notify: Object.assign(notify, { idle }),

    counts: () => [...queues.values()].map(({ queue }) => queue.counts()),

    close(timeoutMs) {
      closing ??= end(timeoutMs)
      return closing
    },
  }
}

interface Keys {
  /** A key that is greater than all earlier ones, including those of earlier processes. */
  next(): string
  /** Whether `next` returned it. */
  isOwn(key: string): boolean
  /** Makes the next key greater than this one. */
  passOver(key: string): void
}

function createKeys(): Keys {
  // Differs between processes that share a spool. Drawn when the first key is needed: workerd allows
  // no random values at module scope.
  let suffix: string | undefined
  let latest = 0
  return {
    next() {
      suffix ??= crypto.randomUUID().slice(0, 8)
      latest += 1
      return `${String(latest).padStart(12, '0')}-${suffix}`
    },
    isOwn: (key) => suffix !== undefined && key.endsWith(`-${suffix}`),
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
