// The engine's event stream in memory: events are reported in microtasks, in order.

import type { ServiceEvent, ServiceListener, WatchOptions } from '../../src/swarm/swarm.ts'

export interface FakeEvents {
  /** Number of open streams. */
  readonly streams: number
  emit(event: ServiceEvent): void
  watch(listener: ServiceListener, options: WatchOptions): Promise<void>
  /**
   * Ends all streams, as a restart of the daemon does: events that were not reported yet are lost,
   * and earlier events are not reported again.
   *
   * @param error The watches reject with this error. Default: they resolve.
   */
  breakStreams(error?: unknown): void
}

interface Stream {
  readonly isOpen: boolean
  report(event: ServiceEvent): void
  end(error?: unknown): void
}

// The daemon keeps as many (moby, daemon/events/events.go).
const MAX_PAST_EVENTS = 256

export function createFakeEvents(): FakeEvents {
  const streams = new Set<Stream>()
  let past: readonly ServiceEvent[] = []

  function open(stream: Stream, { listener, sinceMs }: Watch): void {
    if (streams.has(stream)) {
      listener.opened()
      for (const event of past.filter(({ timeMs }) => timeMs >= sinceMs)) {
        stream.report(event)
      }
    }
  }

  return {
    get streams() {
      return [...streams].filter(({ isOpen }) => isOpen).length
    },

    emit(event) {
      past = [...past, event].slice(-MAX_PAST_EVENTS)
      for (const stream of streams) {
        if (stream.isOpen) {
          stream.report(event)
        }
      }
    },

    watch(listener, { signal, sinceMs = Number.POSITIVE_INFINITY }) {
      if (signal.aborted) {
        return Promise.resolve()
      }
      const { promise, settle } = createEnd()
      const onAbort = (): void => stream.end()
      const stream = {
        isOpen: false,
        report: (event: ServiceEvent) =>
          queueMicrotask(() => {
            if (streams.has(stream)) {
              listener.changed(event)
            }
          }),
        end(error?: unknown) {
          streams.delete(stream)
          signal.removeEventListener('abort', onAbort)
          settle(error)
        },
      }
      signal.addEventListener('abort', onAbort)
      streams.add(stream)
      queueMicrotask(() => {
        stream.isOpen = true
        open(stream, { listener, sinceMs })
      })
      return promise
    },

    breakStreams(error) {
      past = []
      for (const stream of [...streams]) {
        stream.end(error)
      }
    },
  }
}

interface Watch {
  readonly listener: ServiceListener
  readonly sinceMs: number
}

/** A promise with a function that settles it; Node 20 has no `Promise.withResolvers`. */
function createEnd(): { promise: Promise<void>; settle(error: unknown): void } {
  let settle: (error: unknown) => void = () => {}
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error))
  })
  return { promise, settle: (error) => settle(error) }
}
