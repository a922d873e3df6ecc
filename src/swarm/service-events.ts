// One stream of the engine's events for everybody who waits for a service.

import { onAbort } from '../async/abort.ts'
import { waitFor } from '../async/wait-for.ts'
import type { ServiceEvent, Swarm } from './swarm.ts'

/** Who waits for a service. */
export interface EventListener {
  /** Something may have been missed: look at the service. */
  missed(): void
  changed(event: ServiceEvent): void
}

/** The stream, shared. */
export interface ServiceEvents {
  /** Opens the stream for somebody who is about to listen. */
  prepare(): void
  /**
   * Tells of each change of a service from now on.
   *
   * @param serviceId The service's full ID.
   * @param listener Is told.
   * @returns A function that ends it.
   */
  listen(serviceId: string, listener: EventListener): () => void
}

// Rollouts come in bursts, and a stream costs a call.
const LINGER_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000
const STEADY_MS = 5000
// What the engine wrote down just before it went away may come with the time of the one before.
const OVERLAP_MS = 1000

/**
 * Makes the stream. It is open as long as somebody listens, and a little longer; when it breaks, it
 * is opened again from the moment of the last event on, and all are told that they may have missed
 * something.
 *
 * @param swarm Where the events come from.
 * @param signal Ends the stream for good.
 * @returns The stream, not yet open.
 */
export function createServiceEvents(swarm: Swarm, signal: AbortSignal): ServiceEvents {
  const listeners = new Map<string, Set<EventListener>>()
  let running: AbortController | undefined
  let lingering: ReturnType<typeof setTimeout> | undefined

  function open(): void {
    clearTimeout(lingering)
    if (running === undefined && !signal.aborted) {
      running = new AbortController()
      void run(running)
    }
  }

  function closeSoon(): void {
    clearTimeout(lingering)
    lingering = setTimeout(close, LINGER_MS)
  }

  function close(): void {
    clearTimeout(lingering)
    running?.abort()
    running = undefined
  }

  async function run(controller: AbortController): Promise<void> {
    let sinceMs: number | undefined
    let pauseMs = FIRST_PAUSE_MS
    let openedAt = 0
    const opened = (): void => {
      openedAt = performance.now()
      for (const listener of [...listeners.values()].flatMap((set) => [...set])) {
        listener.missed()
      }
    }
    const changed = (event: ServiceEvent): void => {
      sinceMs = Math.max(sinceMs ?? 0, event.timeMs)
      for (const listener of [...(listeners.get(event.serviceId) ?? [])]) {
        listener.changed(event)
      }
    }
    while (!controller.signal.aborted) {
      openedAt = Number.POSITIVE_INFINITY
      const options = {
        signal: controller.signal,
        ...(sinceMs === undefined ? {} : { sinceMs: sinceMs - OVERLAP_MS }),
      }
      // Why it broke is told by the next look at a service, which fails for the same reason.
      await swarm.watchServices({ opened, changed }, options).catch(() => {})
      sinceMs ??= swarm.now()
      // What answers and hangs up again and again is no stream.
      pauseMs = performance.now() - openedAt >= STEADY_MS ? FIRST_PAUSE_MS : pauseMs
      // A promise that outlives the wait would keep what waited for it.
      await waitFor(new Promise(() => {}), { timeoutMs: pauseMs, signals: [controller.signal] })
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  onAbort(signal, close)

  return {
    prepare() {
      open()
      if (listeners.size === 0) {
        closeSoon()
      }
    },

    listen(serviceId, listener) {
      const set = listeners.get(serviceId) ?? new Set()
      listeners.set(serviceId, set.add(listener))
      open()
      return () => {
        set.delete(listener)
        if (set.size === 0 && listeners.get(serviceId) === set) {
          listeners.delete(serviceId)
        }
        if (listeners.size === 0) {
          closeSoon()
        }
      }
    },
  }
}
