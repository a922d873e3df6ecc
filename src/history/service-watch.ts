// Watches all services of the swarm for changes that others make, and for services that are gone.

import { onAbort } from '../async/abort.ts'
import { unref } from '../async/unref.ts'
import { waitFor } from '../async/wait-for.ts'
import { ALL_SERVICES, type ServiceEvents } from '../swarm/service-events.ts'
import { ALLOW_UPDATES_LABEL } from '../swarm/service-spec.ts'
import type { ServiceEvent, Swarm } from '../swarm/swarm.ts'
import { removeExpired } from './history-expiry.ts'
import type { HistoryStore } from './history-store.ts'

/** What the watch needs. */
export interface ServiceWatchOptions {
  /** An observer sees what is read of it. */
  readonly swarm: Swarm
  readonly events: Pick<ServiceEvents, 'listen'>
  readonly store: Pick<HistoryStore, 'list' | 'remove'>
  /** A service was removed. */
  readonly onRemoved: (serviceId: string) => void
  /** Ends the watch. */
  readonly signal: AbortSignal
}

/** A watch of all services. */
export interface ServiceWatch {
  /**
   * Reports that this process has written a service: its next event needs no look.
   *
   * @param serviceId The service's full ID.
   */
  written(serviceId: string): void
}

/** The writes of one service since it was looked at. */
interface Writes {
  reported: number
  own: number
}

// The answer to a write may come after its event.
const SETTLE_MS = 1000
const CHECK_INTERVAL_MS = 60 * 60 * 1000
const MAX_WAITING = 1000

/**
 * Watches all services. A service is read once for each burst of writes that this process did not make; all
 * services that allow updates are read when events may have been missed. Once an hour, and at the start,
 * histories of services that are gone are looked for.
 *
 * @param options The swarm, its events, and the store.
 * @returns The watch. Its timers do not keep a process running.
 */
export function watchServices(options: ServiceWatchOptions): ServiceWatch {
  const { swarm, events, store, onRemoved, signal } = options
  const writes = new Map<string, Writes>()
  const due = new Set<string>()
  let isAllDue = false
  let isCheckDue = true
  let isRunning = false
  let isScheduled = false

  function schedule(): void {
    if (!isScheduled && !signal.aborted) {
      isScheduled = true
      unref(setTimeout(() => void look(), SETTLE_MS))
    }
  }

  /** Reads one service after the other, so that a burst of changes does not load the engine. */
  async function look(): Promise<void> {
    isScheduled = false
    if (isRunning) {
      schedule()
      return
    }
    isRunning = true
    if (isAllDue || isCheckDue) {
      await lookAtAll()
    }
    for (const serviceId of takeDue()) {
      if (!signal.aborted) {
        await swarm.inspectService(serviceId).catch(() => {})
      }
    }
    isRunning = false
  }

  async function lookAtAll(): Promise<void> {
    const isCheck = isCheckDue
    isAllDue = false
    isCheckDue = false
    try {
      const services = await swarm.listServices(`${ALLOW_UPDATES_LABEL}=true`)
      if (isCheck) {
        await removeExpired({ swarm, store, existing: new Set(services.map(({ ID }) => ID)) })
      }
    } catch {
      // The engine is away, which others report: it is read again once the event stream is open.
      isCheckDue ||= isCheck
    }
  }

  /** The services that others have written. */
  function takeDue(): readonly string[] {
    const ids = [...due].filter((serviceId) => {
      const { reported = 1, own = 0 } = writes.get(serviceId) ?? {}
      return reported > own
    })
    due.clear()
    writes.clear()
    return ids
  }

  function writesOf(serviceId: string): Writes {
    const known = writes.get(serviceId) ?? { reported: 0, own: 0 }
    if (writes.size >= MAX_WAITING) {
      writes.clear()
    }
    writes.set(serviceId, known)
    return known
  }

  const end = events.listen(ALL_SERVICES, {
    missed() {
      isAllDue = true
      schedule()
    },

    changed(event) {
      if (event.action === 'remove') {
        onRemoved(event.serviceId)
      } else if (isWrite(event)) {
        writesOf(event.serviceId).reported += 1
        due.add(event.serviceId)
        schedule()
      }
    },
  })
  void checkHourly()
  onAbort(signal, end)

  async function checkHourly(): Promise<void> {
    while (!signal.aborted) {
      isCheckDue = true
      schedule()
      await waitFor(new Promise(() => {}), {
        timeoutMs: CHECK_INTERVAL_MS,
        signals: [signal],
        isBackground: true,
      })
    }
  }

  return {
    written(serviceId) {
      writesOf(serviceId).own += 1
    },
  }
}

/** Whether an event reports a new spec, and not the progress of an update. */
function isWrite({ action, updateState, image }: ServiceEvent): boolean {
  return action === 'update' && (updateState === undefined || image !== undefined)
}
