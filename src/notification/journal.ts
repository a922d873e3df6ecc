// The unpublished events of deployments, stored in the spool so that they survive a restart.

import { type Deployment, deploymentId } from '../deployment/deployment.ts'
import { isDeployment } from '../deployment/deployment-json.ts'
import { parseLegacyDeploymentId } from '../deployment/legacy-deployment-id.ts'
import type { Logger } from '../logger.ts'
import { errorMessage } from '../text/error-message.ts'
import {
  type DeploymentEvent,
  type DeploymentOrigin,
  isDeploymentEvent,
  isMessageId,
  isOrigin,
  messageIdOf,
  type Origin,
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
  /** The key of its record: the same for all attempts of a request to write. */
  readonly key: string
  readonly state: DeploymentState
}

/**
 * An unpublished event: a rejected request, the end of a deployment, whose entry it replaces, or an event
 * that the notifier did not take.
 */
export interface EventEntry {
  /** The key of its record. */
  readonly key: string
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
 * @returns The entry. It replaces that of an earlier attempt of the same request.
 */
export function journalEntry(
  deployment: Deployment,
  { origin, state }: Pick<DeploymentEntry, 'origin' | 'state'>,
): DeploymentEntry {
  const parts = { deployment, deploymentId: deploymentId(deployment), origin }
  return { key: origin.messageId, state, ...parts, messageId: messageIdOf(parts) }
}

/**
 * Creates the entry of a rejected request.
 *
 * @param event The event.
 * @returns The entry.
 */
export function refusedEntry(event: DeploymentEvent): EventEntry {
  return { key: event.id, event }
}

/**
 * Creates the entry of the end of a deployment.
 *
 * @param entry The entry of the deployment.
 * @param event The event.
 * @returns The entry. It replaces that of the deployment.
 */
export function endEntry({ key }: DeploymentEntry, event: DeploymentEvent): EventEntry {
  return { key, event }
}

/**
 * Creates the entry of the first event of a deployment.
 *
 * @param entry The entry of the deployment.
 * @param event The event.
 * @returns The entry. It is stored beside that of the deployment.
 */
export function acceptedEntry({ key }: DeploymentEntry, event: DeploymentEvent): EventEntry {
  return { key: `${key}-accepted`, event }
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
    const entries = records.flatMap((record) => {
      const entry = readEntry(record)
      if (entry === undefined) {
        logger.error({ key: record.key }, 'spooled deployment cannot be read')
        void attempt(() => spool?.remove(record.key))
        return []
      }
      return entry
    })
    return entries.toSorted(byTime)
  }

  return {
    async put(entry) {
      own?.add(entry.key)
      await attempt(() => spool?.put(entry.key, recordOf(entry)))
    },

    remove(entry) {
      void attempt(() => spool?.remove(entry.key))
    },

    isSafe: (entry) => spool?.isSafe(entry.key) === true,

    async read() {
      const records = (await attempt(() => spool?.read())) ?? []
      const left = records.filter(({ key }) => own?.has(key) !== true)
      own = undefined
      return readEntries(left)
    },

    onLeft(listener) {
      spool?.onLeft?.((records) => listener(readEntries(records)))
    },

    owns: async (entry) => (await attempt(async () => spool?.owns?.(entry.key))) !== false,
  }
}

/** Oldest first; the first event of a deployment precedes its end. */
function byTime(one: JournalEntry, other: JournalEntry): number {
  return startOf(one) - startOf(other) || rankOf(one) - rankOf(other)
}

function startOf(entry: JournalEntry): number {
  return Date.parse('event' in entry ? entry.event.startedAt : entry.deployment.startedAt)
}

function rankOf(entry: JournalEntry): number {
  return 'event' in entry && entry.event.event === 'accepted' ? 0 : 1
}

function recordOf(entry: JournalEntry): object {
  if ('event' in entry) {
    return { event: entry.event }
  }
  const { state, deployment, messageId, origin } = entry
  return { state, deployment, messageId, origin }
}

function readEntry({ key, value }: SpooledRecord): JournalEntry | undefined {
  const record = (value ?? {}) as Partial<EventEntry & DeploymentEntry>
  const { event, messageId, origin } = record
  if (isDeploymentEvent(event)) {
    return { key, event }
  }
  const deployment = readDeployment(record)
  const state = readState(record)
  return deployment !== undefined && state !== undefined && isOrigin(origin)
    ? {
        ...{ key, state, deployment, origin },
        ...{ deploymentId: deploymentId(deployment), messageId: readMessageId(messageId, origin) },
      }
    : undefined
}

/** Records of earlier versions have the ID of those versions, which contains the deployment. */
function readDeployment({
  deployment,
  deploymentId: id,
}: Partial<DeploymentEntry>): Deployment | undefined {
  if (isDeployment(deployment)) {
    return deployment
  }
  return typeof id === 'string' ? parseLegacyDeploymentId(id) : undefined
}

/** Events of records of earlier versions keep the IDs that those versions gave them. */
function readMessageId(messageId: unknown, origin: Origin): string {
  return isMessageId(messageId) ? messageId : origin.messageId
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
