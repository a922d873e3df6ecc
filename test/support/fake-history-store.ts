// A store of histories in memory.

import { DeployerError } from '../../src/errors.ts'
import {
  FORMAT_LABEL,
  type HistoryStore,
  type StoredHistory,
} from '../../src/history/history-store.ts'

type Labels = Readonly<Record<string, string>>

/** The fake store, with members for tests. */
export interface FakeHistoryStore extends HistoryStore {
  /** The calls of this handle so far, such as `read abc`, `write abc`, `list a=b` and `remove abc`. */
  readonly calls: readonly string[]
  /** Every call rejects with this error while it is set, and changes nothing. */
  failure: Error | undefined
  /** Whether every call rejects with `history-unavailable`, as behind a proxy without `/configs`. */
  isClosed: boolean
  /** Whether writes and removals are applied and then reject, as when the connection breaks. */
  losesAnswers: boolean
  /** Awaited before each write is compared with what is stored. Default: does nothing. */
  beforeWrite: (serviceId: string, labels: Labels) => void | Promise<void>
  /** The labels of the history of a service; undefined if there is none. */
  labels(serviceId: string): Labels | undefined
  /** The services that have a history, in the order of creation. */
  serviceIds(): readonly string[]
  /** Stores labels as another process does, whatever is stored. Without the format label: a foreign config. */
  put(serviceId: string, labels: Labels): void
  /** Removes a history as another process does. */
  drop(serviceId: string): void
  /** A second process: a store with the same data, whose calls and other members are its own. */
  handle(): FakeHistoryStore
}

interface Stored {
  /** The other histories with the same ID that existed before have other numbers. */
  readonly created: number
  readonly index: number
  readonly labels: Labels
}

interface Data {
  readonly histories: Map<string, Stored>
  clock: number
}

/**
 * Creates an empty store.
 *
 * @returns The store.
 */
export function createFakeHistoryStore(): FakeHistoryStore {
  return createHandle({ histories: new Map(), clock: 0 })
}

function createHandle(data: Data): FakeHistoryStore {
  const { histories } = data
  const calls: string[] = []

  function called(call: string): void {
    calls.push(call)
    if (fake.isClosed) {
      throw new DeployerError('history-unavailable', 'Cannot use the history: /configs is closed')
    }
    if (fake.failure !== undefined) throw fake.failure
  }

  function answered(): void {
    if (fake.losesAnswers) {
      throw new DeployerError('engine-unreachable', 'Cannot use the history: the connection broke')
    }
  }

  function store(serviceId: string, labels: Labels): void {
    data.clock += 1
    const created = histories.get(serviceId)?.created ?? data.clock
    histories.set(serviceId, { created, index: data.clock, labels: { ...labels } })
  }

  function find(serviceId: string): StoredHistory | undefined {
    const stored = histories.get(serviceId)
    return stored !== undefined && FORMAT_LABEL in stored.labels
      ? { serviceId, version: `${stored.created}.${stored.index}`, labels: { ...stored.labels } }
      : undefined
  }

  const fake: FakeHistoryStore = {
    calls,
    failure: undefined,
    isClosed: false,
    losesAnswers: false,
    beforeWrite() {},
    labels: (serviceId) => histories.get(serviceId)?.labels,
    serviceIds: () => [...histories.keys()],
    put: store,
    drop: (serviceId) => void histories.delete(serviceId),
    handle: () => createHandle(data),

    async read(serviceId) {
      called(`read ${serviceId}`)
      return find(serviceId)
    },

    async write(serviceId, labels, replaced) {
      called(`write ${serviceId}`)
      await fake.beforeWrite(serviceId, labels)
      const current = find(serviceId)
      if (current === undefined && histories.has(serviceId)) {
        throw new DeployerError('engine-error', `Cannot write: ${serviceId} is not a history`)
      }
      if (current?.version !== replaced?.version) return 'out-of-sequence'
      store(serviceId, labels)
      answered()
      return 'written'
    },

    async list(label) {
      called(`list ${label}`)
      const [name = '', ...value] = label.split('=')
      const hasLabel = ({ labels }: StoredHistory): boolean =>
        value.length === 0 ? name in labels : labels[name] === value.join('=')
      return [...histories.keys()].flatMap((serviceId) => {
        const history = find(serviceId)
        return history !== undefined && hasLabel(history) ? [history] : []
      })
    },

    async remove({ serviceId, version }) {
      called(`remove ${serviceId}`)
      if (find(serviceId)?.version === version) {
        histories.delete(serviceId)
      }
      answered()
    },
  }
  return fake
}
