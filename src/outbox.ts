// The notifier that delivers: every event goes to each destination that wants it, at least once.

import {
  createDeliveryQueue,
  type DeliveryCounts,
  type DeliveryLimits,
  type Message,
} from './delivery-queue.ts'
import { isDeploymentEvent } from './deployment-event.ts'
import type { Destination, Logger, Notifier, Spool, SpooledRecord } from './ports.ts'
import { waitFor } from './waiting.ts'

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
   * Delivers what waits, and ends.
   *
   * @param timeoutMs The longest that it may take, in milliseconds.
   * @returns How many messages are kept for the next start, and how many were given up.
   */
  close(timeoutMs: number): Promise<{ readonly kept: number; readonly givenUp: number }>
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
  const queues = new Map(
    destinations.map((destination) => {
      const queue = createDeliveryQueue(destination, { logger, settled: forget }, limits)
      return [destination.name, { destination, queue }] as const
    }),
  )
  if (queues.size < destinations.length) {
    throw new TypeError('Cannot use `destinations`: each must have a name of its own')
  }
  const keys = createKeys()
  const resumed = spool === undefined ? Promise.resolve() : resume(spool)

  async function resume(spool: Spool): Promise<void> {
    const strays = new Map<string, number>()
    for (const record of await spool.read()) {
      keys.passOver(record.key)
      const message = readMessage(record)
      const queue = message && queues.get(message.destination)?.queue
      if (message === undefined) {
        logger.error({ key: record.key }, 'spooled message cannot be read')
      } else if (queue === undefined) {
        strays.set(message.destination, (strays.get(message.destination) ?? 0) + 1)
      } else {
        queue.add({ key: record.key, event: message.event, queuedAtMs: message.queuedAtMs })
      }
    }
    for (const [destination, messages] of strays) {
      logger.warn({ destination, messages }, 'messages wait for a destination that is not set')
    }
  }

  function forget({ key }: Message): void {
    void spool?.remove(key)
  }

  return {
    async notify(event) {
      await resumed
      const puts: Promise<void>[] = []
      for (const { destination, queue } of queues.values()) {
        if (destination.events.includes(event.event)) {
          const message = { key: keys.next(), event, queuedAtMs: Date.now() }
          const record: SpooledMessage = {
            destination: destination.name,
            ...{ event, queuedAtMs: message.queuedAtMs },
          }
          // Before it is queued: a removal must not come before the put.
          puts.push(spool?.put(message.key, record) ?? Promise.resolve())
          queue.add(message)
        }
      }
      await Promise.all(puts)
    },

    counts: () => [...queues.values()].map(({ queue }) => queue.counts()),

    async close(timeoutMs) {
      const all = [...queues.values()].map(({ queue }) => queue)
      for (const queue of all) {
        queue.retryNow()
      }
      await waitFor(Promise.all(all.map((queue) => queue.drained())), { timeoutMs, signals: [] })
      let kept = 0
      let givenUp = 0
      for (const queue of all) {
        for (const message of queue.stop()) {
          if (spool?.isSafe(message.key) === true) {
            kept += 1
          } else {
            givenUp += 1
            queue.drop(message, 'Deployer is shutting down')
          }
        }
      }
      return { kept, givenUp }
    },
  }
}

interface Keys {
  /** Grows with every message, over restarts too. */
  next(): string
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
    passOver(key) {
      latest = Math.max(latest, Number.parseInt(key, 10) || 0)
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
