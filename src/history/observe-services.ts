// Notes what others do to services, as far as this process sees it.

import type { ServiceEvents } from '../swarm/service-events.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { createForeignChanges } from './foreign-changes.ts'
import type { HistoryRecorder } from './history-recorder.ts'
import type { HistoryStore } from './history-store.ts'
import { observedSwarm } from './observed-swarm.ts'
import { watchServices } from './service-watch.ts'

/** What observing services needs. */
export interface ObserveServicesOptions {
  readonly store: HistoryStore
  readonly history: HistoryRecorder
  readonly events: Pick<ServiceEvents, 'listen'>
  /** Whether services are watched all the time, and not only when they are read for another reason. */
  readonly isWatching: boolean
  /** Ends the watch. */
  readonly signal: AbortSignal
}

/**
 * Notes in the histories what others do to services.
 *
 * @param swarm The swarm.
 * @param options The histories, and whether services are watched.
 * @returns The swarm to read services from.
 */
export function observeServices(swarm: Swarm, options: ObserveServicesOptions): Swarm {
  const { store, history, events, isWatching, signal } = options
  let onWritten = (_serviceId: string): void => {}
  const changes = createForeignChanges({
    ...{ swarm, history },
    onWritten: (serviceId) => onWritten(serviceId),
  })
  const observed = observedSwarm(swarm, changes)
  if (isWatching) {
    const watch = watchServices({
      ...{ swarm: observed, events, signal },
      store: { list: history.list, remove: (one) => store.remove(one) },
      onRemoved: changes.missing,
    })
    onWritten = watch.written
  }
  return observed
}
