// The histories of services: notes what happens, and reads what all processes have noted.

import { LRUCache } from 'lru-cache'
import { joinWork } from '../async/shared-work.ts'
import { singleFlight } from '../async/single-flight.ts'
import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { type DeploymentHistory, type HistoryService, NO_HISTORY } from './deployment-history.ts'
import type { HistoryEntry } from './history-entry.ts'
import { REMOVED_LABEL, readEntries, SERVICE_LABEL } from './history-labels.ts'
import type { HistoryStore, StoredHistory } from './history-store.ts'
import { createHistoryWriter } from './history-writer.ts'
import { entryKey } from './merge-entries.ts'
import {
  applyChanges,
  type PendingChanges,
  withDeployment,
  withOutside,
  withRemoval,
} from './pending-changes.ts'
import { createStoreState, isClosedError } from './store-state.ts'

/** The history of one service. */
export interface ServiceHistory extends HistoryService {
  /** When the service was first seen to be gone; RFC 3339. */
  readonly removedAt: string | undefined
  /** Newest first. */
  readonly entries: readonly HistoryEntry[]
}

/** The histories of all services, with what only their own routes and watches need. */
export interface HistoryRecorder extends DeploymentHistory {
  /**
   * Finds the histories of all services that had a name.
   *
   * @param service The name.
   * @returns The histories.
   * @throws DeployerError `history-unavailable` where none is kept, and what the store throws.
   */
  findByName(service: string): Promise<readonly ServiceHistory[]>
  /**
   * Finds the history of a service.
   *
   * @param serviceId The service's full ID.
   * @returns The history; undefined where there is none.
   * @throws DeployerError `history-unavailable` where none is kept, and what the store throws.
   */
  findById(serviceId: string): Promise<ServiceHistory | undefined>
  /**
   * Lists histories as they are stored.
   *
   * @param label A label and its value.
   * @returns The histories.
   * @throws DeployerError `history-unavailable` where none is kept, and what the store throws.
   */
  list(label: string): Promise<readonly StoredHistory[]>
  /**
   * Notes a task template that others seem to have written. It is entered if it differs from the newest entry.
   *
   * @param service The service.
   * @param entry The change.
   */
  noteOutside(service: HistoryService, entry: HistoryEntry): void
  /**
   * Notes that a service is gone, if it has a history.
   *
   * @param serviceId The service's full ID.
   * @param removedAt When that was seen; RFC 3339.
   */
  noteRemoved(serviceId: string, removedAt: string): void
  /** Keeps the current request alive until everything is written, in at most 25 s. It never rejects. */
  idle(): Promise<void>
}

/** Options of {@link createHistoryRecorder}. */
export interface HistoryRecorderOptions {
  /** Where the histories are kept; undefined: none is kept. */
  readonly store: HistoryStore | undefined
  readonly logger: Logger
  /** After it has aborted, changes are written at once. */
  readonly signal: AbortSignal
  /** How many deployments a history has at most, up to 50. Default: 10. */
  readonly maxEntries?: number
  /** The time in milliseconds, of a clock that does not go back. Default: that of the runtime. */
  readonly now?: () => number
}

/**
 * Creates the histories.
 *
 * @param options The store, and limits.
 * @returns The histories. The store is not called yet.
 */
export function createHistoryRecorder({
  store,
  ...options
}: HistoryRecorderOptions): HistoryRecorder {
  return store === undefined ? NO_RECORDER : createRecorder({ ...options, store })
}

const NO_RECORDER: HistoryRecorder = {
  ...NO_HISTORY,
  findByName: async () => Promise.reject(historyOff()),
  findById: async () => Promise.reject(historyOff()),
  list: async () => Promise.reject(historyOff()),
  noteOutside() {},
  noteRemoved() {},
  async idle() {},
}

function createRecorder({
  store,
  logger,
  signal,
  maxEntries = DEFAULT_ENTRIES,
  now = () => performance.now(),
}: HistoryRecorderOptions & { readonly store: HistoryStore }): HistoryRecorder {
  const state = createStoreState(logger, now)
  const onDropped = (serviceId: string): void =>
    logger.warn({ serviceId }, 'history of a service dropped: too many could not be written')
  /** The deployments that the history of a service is known to have, with their verdicts. */
  const known = new LRUCache<string, ReadonlySet<string>>({ max: MAX_KNOWN })
  const onStored = (serviceId: string, labels: StoredHistory['labels']): void => {
    const ended = readEntries(labels).filter(({ verdict }) => verdict !== undefined)
    known.set(serviceId, new Set(ended.map(entryKey)))
  }
  const writer = createHistoryWriter({
    ...{ store, state, signal, maxEntries, now },
    ...{ onStored, onDropped },
  })
  const reads = new Map<string, () => Promise<StoredHistory | undefined>>()

  function readStored(serviceId: string): Promise<StoredHistory | undefined> {
    const shared = reads.get(serviceId) ?? singleFlight(() => store.read(serviceId))
    reads.set(serviceId, shared)
    const forget = (): boolean => reads.get(serviceId) === shared && reads.delete(serviceId)
    const stored = joinWork(shared(), () => {
      forget()
      return store.read(serviceId)
    })
    stored.then(forget, forget)
    return stored
  }

  /** Calls the store for a caller that gets the error. */
  async function call<T>(act: () => Promise<T>): Promise<T> {
    writer.resume()
    if (!state.isWorthTrying()) {
      throw historyOff()
    }
    try {
      const result = await act()
      state.worked(READS)
      return result
    } catch (error) {
      if (isClosedError(error)) {
        state.failed(READS, error)
      }
      throw error
    }
  }

  function list(label: string): Promise<readonly StoredHistory[]> {
    return call(() => store.list(label))
  }

  function combine(
    serviceId: string,
    labels: StoredHistory['labels'] | undefined,
    pending: readonly (PendingChanges | undefined)[],
  ): ServiceHistory | undefined {
    let combined = labels
    for (const changes of pending) {
      combined = changes === undefined ? combined : applyChanges(combined, changes, maxEntries)
    }
    return combined && historyOf(serviceId, combined)
  }

  return {
    isOn: state.isProven,
    isNoted: (serviceId, entry) => known.get(serviceId)?.has(entryKey(entry)) === true,

    note({ serviceId, service }, entry) {
      writer.change(serviceId, service, (changes) => withDeployment(changes, entry))
    },

    noteOutside({ serviceId, service }, entry) {
      writer.change(serviceId, service, (changes) => withOutside(changes, entry))
    },

    noteRemoved(serviceId, removedAt) {
      writer.change(serviceId, '', (changes) => withRemoval(changes, removedAt))
    },

    async read(serviceId) {
      const before = writer.pending(serviceId)
      let labels: StoredHistory['labels'] | undefined
      try {
        labels = (await call(() => readStored(serviceId)))?.labels
        onStored(serviceId, labels ?? {})
      } catch (error) {
        if (!isClosedError(error)) {
          state.failed(READS, error)
        }
      }
      return combine(serviceId, labels, [before, writer.pending(serviceId)])?.entries ?? []
    },

    async findById(serviceId) {
      const before = writer.pending(serviceId)
      const stored = await call(() => readStored(serviceId))
      return combine(serviceId, stored?.labels, [before, writer.pending(serviceId)])
    },

    async findByName(service) {
      const pending = (): ReadonlyMap<string, PendingChanges | undefined> =>
        new Map(writer.pendingOf(service).map((id) => [id, writer.pending(id)]))
      const before = pending()
      const stored = await list(`${SERVICE_LABEL}=${service}`)
      const after = pending()
      const labels = new Map(stored.map((one) => [one.serviceId, one.labels]))
      const ids = new Set([...labels.keys(), ...before.keys(), ...after.keys()])
      return [...ids].flatMap((id) => {
        const changes = [before.get(id), after.get(id)]
        return combine(id, labels.get(id), changes) ?? []
      })
    },

    list,
    flush: writer.flush,
    idle: writer.idle,
  }
}

const DEFAULT_ENTRIES = 10
const MAX_KNOWN = 1000
const READS = 'reads'

function historyOf(serviceId: string, labels: StoredHistory['labels']): ServiceHistory {
  const { [SERVICE_LABEL]: service = '', [REMOVED_LABEL]: removedAt } = labels
  return { serviceId, service, removedAt, entries: readEntries(labels) }
}

function historyOff(): DeployerError {
  return new DeployerError(
    'history-unavailable',
    'Cannot read the history of services: none is kept; set HISTORY=config, and allow GET, POST and DELETE of /configs in a proxy in front of the engine',
  )
}
