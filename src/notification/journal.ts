// What is still to be told of deployments, kept over a restart.

import { parseDeploymentId } from '../deployment/deployment.ts'
import type { Logger } from '../logger.ts'
import { errorMessage } from '../text/error-message.ts'
import {
  type DeploymentEvent,
  type DeploymentOrigin,
  isDeploymentEvent,
  isOrigin,
} from './deployment-event.ts'
import type { Spool, SpooledRecord } from './spool.ts'

/** How far a deployment has come, and been told. */
export type DeploymentState =
  /** It is about to be written, or its answer was lost: perhaps the engine has it. */
  | 'intended'
  /** The engine has it, or nothing was to be written; nothing was told so far. */
  | 'accepted'
  /** All but its end was told. */
  | 'told'

/** A deployment of which something is still to be told. */
export interface DeploymentEntry extends DeploymentOrigin {
  readonly stage: DeploymentState
}

/** An event that is still to be told: a refusal, or an end, which stands in the place of its deployment. */
export interface EventEntry {
  readonly event: DeploymentEvent
}

/** What the journal holds. */
export type JournalEntry = DeploymentEntry | EventEntry

/** The journal. */
export interface Journal {
  /** Keeps an entry, in place of that of the same deployment; resolves once it would last. */
  put(entry: JournalEntry): Promise<void>
  /** Forgets an entry: all is told. */
  remove(entry: JournalEntry): void
  /** What an earlier process left, oldest first. */
  read(): Promise<readonly JournalEntry[]>
  /** Calls a function with what other processes leave later, oldest first. */
  onLeft(listener: (entries: readonly JournalEntry[]) => void): void
  /** Whether an entry is still this process's, and not one that another has taken over. */
  owns(entry: JournalEntry): Promise<boolean>
  /** Whether an entry would outlive the process. */
  isSafe(entry: JournalEntry): boolean
}

/**
 * Makes a journal.
 *
 * @param spool Where it is kept; undefined: nothing lasts.
 * @param logger Is told of what cannot be read.
 * @returns The journal.
 */
export function createJournal(spool: Spool | undefined, logger: Logger): Journal {
  /** What this process has put while it reads what an earlier one left. */
  let own = spool === undefined ? undefined : new Set<string>()

  /** What does not last must not fail a deployment. */
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
      // One under another key could never be removed.
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

/** In the order of time, and no other's. */
function keyOf(entry: JournalEntry): string {
  const [startedAt, id] =
    'event' in entry
      ? [entry.event.startedAt, eventKey(entry.event)]
      : [entry.deployment.startedAt, entry.origin.messageId]
  return `${Date.parse(startedAt)}-${id}`
}

/** The end of a deployment has its deployment's key: one file holds either the one or the other. */
function eventKey({ id, event }: DeploymentEvent): string {
  const [prefix, suffix] = ['msg_', `_${event}`]
  const isEnd = event !== 'refused' && id.startsWith(prefix) && id.endsWith(suffix)
  return isEnd ? id.slice(prefix.length, -suffix.length) : id
}

/** The ID holds all of a deployment. */
function recordOf(entry: JournalEntry): object {
  if ('event' in entry) {
    return entry
  }
  const { stage, deploymentId, origin } = entry
  return { stage, deploymentId, origin }
}

function readEntry({ value }: SpooledRecord): JournalEntry | undefined {
  const { event, stage, deploymentId, origin } = (value ?? {}) as Partial<
    EventEntry & DeploymentEntry
  >
  if (isDeploymentEvent(event)) {
    return { event }
  }
  const deployment = typeof deploymentId === 'string' ? parseDeploymentId(deploymentId) : undefined
  const isStage = stage === 'intended' || stage === 'accepted' || stage === 'told'
  return deployment !== undefined && deploymentId !== undefined && isStage && isOrigin(origin)
    ? { stage, deployment, deploymentId, origin }
    : undefined
}
