// The unpublished events of deployments, stored in the spool so that they survive a restart.

import { type Deployment, deploymentId, parseDeploymentId } from '../deployment/deployment.ts'
import type { Logger } from '../logger.ts'
import { errorMessage } from '../text/error-message.ts'
import {
  type DeploymentEvent,
  type DeploymentOrigin,
  isDeploymentEvent,
  isOrigin,
} from './deployment-event.ts'
import type { Spool, SpooledRecord } from './spool.ts'

/** The progress of the write of a deployment, and of its events. */
export type DeploymentState =
  /** The write is about to be sent, or its response was lost: it is unknown whether it succeeded. */
  | 'prepared'
  /** The engine took the write, or none was necessary; no event is published so far. */
  | 'committed'
  /** All events but the last are published. */
  | 'published'

/** A deployment with unpublished events. */
export interface DeploymentEntry extends DeploymentOrigin {
  readonly state: DeploymentState
}

/** An unpublished event: a rejected request, or the end of a deployment, whose entry it replaces. */
export interface EventEntry {
  readonly event: DeploymentEvent
}

/** An entry of the journal. */
export type JournalEntry = DeploymentEntry | EventEntry

/** The journal. */
export interface Journal {
  /** Stores an entry in place of the one of the same deployment; resolves once it survives a crash. */
  put(entry: JournalEntry): Promise<void>
  /** Removes an entry: all its events are published. */
  remove(entry: JournalEntry): void
  /** Reads the entries that an earlier process left, oldest first. */
  read(): Promise<readonly JournalEntry[]>
  /** Calls a function with entries that other processes leave later, oldest first. */
  onLeft(listener: (entries: readonly JournalEntry[]) => void): void
  /** Whether this process still owns an entry, or another one has taken it over. */
  owns(entry: JournalEntry): Promise<boolean>
  /** Whether an entry survives the end of the process. */
  isSafe(entry: JournalEntry): boolean
}

/**
 * Creates the entry of a deployment.
 *
 * @param deployment The deployment.
 * @param options The request that it comes from, and its state.
 * @returns The entry.
 */
export function journalEntry(
  deployment: Deployment,
  { origin, state }: Pick<DeploymentEntry, 'origin' | 'state'>,
): DeploymentEntry {
  return { state, deployment, deploymentId: deploymentId(deployment), origin }
}

/**
 * Creates a journal.
 *
 * @param spool Where entries are stored; undefined: nothing survives a restart.
 * @param logger Logs records that cannot be read, and failures of the spool.
 * @returns The journal.
 */
export function createJournal(spool: Spool | undefined, logger: Logger): Journal {
  /** The keys that this process stored before the records of an earlier one were read. */
  let own = spool === undefined ? undefined : new Set<string>()

  /** A failure of the spool must not fail a deployment. */
  async function attempt<T>(act: () => Promise<T> | undefined): Promise<T | undefined> {
    try {
      return await act()
    } catch (error) {
      logger.error({ reason: errorMessage(error) }, 'spool cannot be used')
      return undefined
    }
  }

  function readEntries(records: readonly SpooledRecord[]): readonly JournalEntry[] {
    return records.flatMap((record) => {
      const entry = readEntry(record)
      // An entry under another key could never be removed.
      if (entry === undefined || keyOf(entry) !== record.key) {
        logger.error({ key: record.key }, 'spooled deployment cannot be read')
        void attempt(() => spool?.remove(record.key))
        return []
      }
      return entry
    })
  }

  return {
    async put(entry) {
      const key = keyOf(entry)
      own?.add(key)
      await attempt(() => spool?.put(key, recordOf(entry)))
    },

    remove(entry) {
      void attempt(() => spool?.remove(keyOf(entry)))
    },

    isSafe: (entry) => spool?.isSafe(keyOf(entry)) === true,

    async read() {
      const records = (await attempt(() => spool?.read())) ?? []
      const left = records.filter(({ key }) => own?.has(key) !== true)
      own = undefined
      return readEntries(left)
    },

    onLeft(listener) {
      spool?.onLeft?.((records) => listener(readEntries(records)))
    },

    owns: async (entry) => (await attempt(async () => spool?.owns?.(keyOf(entry)))) !== false,
  }
}

/** Unique; keys sort by time. */
function keyOf(entry: JournalEntry): string {
  const [startedAt, id] =
    'event' in entry
      ? [entry.event.startedAt, eventKey(entry.event)]
      : [entry.deployment.startedAt, entry.origin.messageId]
  return `${Date.parse(startedAt)}-${id}`
}

/** The end of a deployment has the key of its deployment: it replaces that entry. */
function eventKey({ id, event }: DeploymentEvent): string {
  const [prefix, suffix] = ['msg_', `_${event}`]
  const isEnd = event !== 'refused' && id.startsWith(prefix) && id.endsWith(suffix)
  return isEnd ? id.slice(prefix.length, -suffix.length) : id
}

/** A deployment is stored as its ID, which contains all of it. */
function recordOf(entry: JournalEntry): object {
  if ('event' in entry) {
    return entry
  }
  const { state, deploymentId, origin } = entry
  return { state, deploymentId, origin }
}

function readEntry({ value }: SpooledRecord): JournalEntry | undefined {
  const record = (value ?? {}) as Partial<EventEntry & DeploymentEntry>
  const { event, deploymentId, origin } = record
  if (isDeploymentEvent(event)) {
    return { event }
  }
  const deployment = typeof deploymentId === 'string' ? parseDeploymentId(deploymentId) : undefined
  const state = readState(record)
  return deployment !== undefined &&
    deploymentId !== undefined &&
    state !== undefined &&
    isOrigin(origin)
    ? { state, deployment, deploymentId, origin }
    : undefined
}

/** The values of `stage`, which records of earlier versions have in place of `state`. */
const STAGES: ReadonlyMap<unknown, DeploymentState> = new Map([
  ['intended', 'prepared'],
  ['accepted', 'committed'],
  ['told', 'published'],
])

function readState(record: {
  readonly state?: unknown
  readonly stage?: unknown
}): DeploymentState | undefined {
  const { state = STAGES.get(record.stage) } = record
  return state === 'prepared' || state === 'committed' || state === 'published' ? state : undefined
}
