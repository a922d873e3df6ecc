// The engine's event stream, shared by all watches.

import { onAbort } from '../async/abort.ts'
import { type Heartbeat, startHeartbeat } from '../async/heartbeat.ts'
import { unref } from '../async/unref.ts'
import { waitFor } from '../async/wait-for.ts'
import type { Logger } from '../logger.ts'
import { errorMessage } from '../text/error-message.ts'
import { currentTimeMs } from './current-time.ts'
import type { ServiceEvent, Swarm } from './swarm.ts'

/** Gets the events of one service. */
export interface EventListener {
  /** Events may have been missed: the service has to be read. */
  missed(): void
  changed(event: ServiceEvent): void
}

/** Stands for the ID of a service, to listen for the changes of all. */
export const ALL_SERVICES = '*'

/** The shared event stream. */
export interface ServiceEvents {
  /** Opens the stream for a caller that is about to listen. */
  prepare(): void
  /**
   * Listens for the changes of a service.
   *
   * @param serviceId The service's full ID, or {@link ALL_SERVICES}.
   * @param listener Is called at each change.
   * @returns A function that ends it.
   */
  listen(serviceId: string, listener: EventListener): () => void
  /** Whether the stream is known to be open, so that each change is reported. */
  isOpen(): boolean
  /**
   * Opens the stream again, as part of the current request, where the runtime has ended it together with
   * the request that opened it (workerd). Elsewhere it does nothing.
   */
  ensureRunning(): Promise<void>
}

/** What the stream needs besides the swarm. */
export interface ServiceEventsOptions {
  /** Closes the stream for good. */
  readonly signal: AbortSignal
  readonly logger: Logger
}

/** One run of the loop that keeps the stream open. */
interface Run {
  readonly controller: AbortController
  readonly heartbeat: Heartbeat
  isOpen: boolean
}

// Rollouts come in bursts, and to open the stream costs an engine call.
const LINGER_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000
const STEADY_MS = 5000
// The last events before the stream broke can have the same time as the latest that was received.
const OVERLAP_MS = 1000

/**
 * Creates the shared stream. It is open while there are listeners, and a little longer. When it breaks,
 * it is opened again from the latest event on, and all listeners are notified that events may have been
 * missed. The first failure and the recovery are logged, not each retry.
 *
 * @param swarm The swarm whose events it reads.
 * @param options The signal that closes it, and the logger.
 * @returns The stream, not open yet.
 */
export function createServiceEvents(
  swarm: Swarm,
  { signal, logger }: ServiceEventsOptions,
): ServiceEvents {
  const listeners = new Map<string, Set<EventListener>>()
  let run: Run | undefined
  let lingering: ReturnType<typeof setTimeout> | undefined
  let isBroken = false

  function open(): void {
    clearTimeout(lingering)
    if (run === undefined && !signal.aborted) {
      run = { controller: new AbortController(), heartbeat: startHeartbeat(), isOpen: false }
      void keepOpen(run)
    }
  }

  function closeSoon(): void {
    clearTimeout(lingering)
    if (run !== undefined) {
      lingering = unref(setTimeout(close, LINGER_MS))
    }
  }

  function close(): void {
    clearTimeout(lingering)
    const closed = run
    run = undefined
    if (closed !== undefined) {
      closed.isOpen = false
      closed.heartbeat.stop()
      closed.controller.abort()
    }
  }

  async function keepOpen(current: Run): Promise<void> {
    let sinceMs: number | undefined
    let pauseMs = FIRST_PAUSE_MS
    while (run === current) {
      const stream = await readStream(current, sinceMs)
      sinceMs = stream.latestMs ?? sinceMs ?? currentTimeMs(swarm)
      if (run === current) {
        reportBroken(stream.error)
        // A stream that ends again and again right after it was opened does not count as open.
        pauseMs = stream.wasSteady ? FIRST_PAUSE_MS : pauseMs
        await waitFor(new Promise(() => {}), {
          timeoutMs: pauseMs,
          signals: [current.controller.signal],
          isBackground: true,
        })
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
      }
    }
  }

  /** Reads one stream to its end. */
  async function readStream(current: Run, sinceMs: number | undefined): Promise<EndedStream> {
    const { signal: closing } = current.controller
    let openedAt = Number.POSITIVE_INFINITY
    let latestMs: number | undefined
    let steady: ReturnType<typeof setTimeout> | undefined
    let error: unknown
    const listener = {
      opened(): void {
        if (run === current) {
          current.isOpen = true
          openedAt = performance.now()
          steady = isBroken ? unref(setTimeout(reportRestored, STEADY_MS)) : undefined
          notifyMissed()
        }
      },
      changed(event: ServiceEvent): void {
        latestMs = Math.max(latestMs ?? sinceMs ?? 0, event.timeMs)
        const all = listeners.get(ALL_SERVICES) ?? []
        for (const one of [...(listeners.get(event.serviceId) ?? []), ...all]) {
          one.changed(event)
        }
      },
    }
    try {
      const since = sinceMs === undefined ? {} : { sinceMs: sinceMs - OVERLAP_MS }
      await swarm.watchServices(listener, { signal: closing, ...since })
    } catch (thrown) {
      error = thrown
    }
    clearTimeout(steady)
    current.isOpen = false
    return { latestMs, error, wasSteady: performance.now() - openedAt >= STEADY_MS }
  }

  function notifyMissed(): void {
    for (const listener of [...listeners.values()].flatMap((set) => [...set])) {
      listener.missed()
    }
  }

  function reportBroken(error: unknown): void {
    if (!isBroken) {
      isBroken = true
      const reason = error === undefined ? 'the stream ended' : errorMessage(error)
      logger.warn({ reason }, 'event stream broken')
    }
  }

  function reportRestored(): void {
    if (isBroken) {
      isBroken = false
      logger.info({}, 'event stream restored')
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

    isOpen: () => run?.isOpen === true,

    async ensureRunning() {
      const current = run
      if (current !== undefined && !(await current.heartbeat.isAlive()) && run === current) {
        // Nothing of the ended request is touched: the runtime does not allow it, or prints a warning.
        run = undefined
        open()
      }
    },
  }
}

interface EndedStream {
  /** When the latest event happened; undefined: there was none. */
  readonly latestMs: number | undefined
  readonly error: unknown
  /** Whether it was open for some time. */
  readonly wasSteady: boolean
}
