// What has to be written to the history of one service: pure functions.

import type { HistoryEntry } from './history-entry.ts'
import { readEntries, SERVICE_LABEL, withNotes } from './history-labels.ts'
import type { StoredHistory } from './history-store.ts'
import { entryKey, mergeAll, mergeEntries } from './merge-entries.ts'
import { isNewOutsideChange } from './outside-change.ts'

type Labels = StoredHistory['labels']

/** How many deployments a history has at most, however it is configured. */
export const MAX_ENTRIES = 50

/** The changes of one history, which are written together. */
export interface PendingChanges {
  /** The name of the service; empty where it is not known. */
  readonly service: string
  /** Deployments, by {@link entryKey}. */
  readonly entries: ReadonlyMap<string, HistoryEntry>
  /** Changes that others may have made. Whether they are new is decided over the history as it is read. */
  readonly outside: readonly HistoryEntry[]
  /** When the service was first seen to be gone; RFC 3339. */
  readonly removedAt: string | undefined
}

/**
 * Creates changes.
 *
 * @param service The name of the service; empty where it is not known.
 * @returns No changes yet.
 */
export function noChanges(service: string): PendingChanges {
  return { service, entries: new Map(), outside: [], removedAt: undefined }
}

/**
 * Adds a deployment.
 *
 * @param changes The changes so far.
 * @param entry What is known of it.
 * @returns The changes. Of more than 50 deployments, the oldest are left out.
 */
export function withDeployment(changes: PendingChanges, entry: HistoryEntry): PendingChanges {
  if (!isIdentified(entry)) {
    return changes
  }
  const entries = new Map(changes.entries)
  const key = entryKey(entry)
  const known = entries.get(key)
  entries.set(key, known === undefined ? entry : mergeEntries(known, entry))
  const oldestFirst = [...entries].sort(([, a], [, b]) => a.versionIndex - b.versionIndex)
  return { ...changes, entries: new Map(oldestFirst.slice(-MAX_ENTRIES)) }
}

/**
 * Adds a change that others may have made.
 *
 * @param changes The changes so far.
 * @param entry The change.
 * @returns The changes, with the latest 50 of these.
 */
export function withOutside(changes: PendingChanges, entry: HistoryEntry): PendingChanges {
  return { ...changes, outside: [...changes.outside, entry].slice(-MAX_ENTRIES) }
}

/**
 * Adds that the service is gone.
 *
 * @param changes The changes so far.
 * @param removedAt When that was seen first; RFC 3339.
 * @returns The changes.
 */
export function withRemoval(changes: PendingChanges, removedAt: string): PendingChanges {
  return { ...changes, removedAt: changes.removedAt ?? removedAt }
}

/**
 * Removes what has been written.
 *
 * @param changes The changes by now.
 * @param written The changes that were written.
 * @returns The rest; undefined where nothing is left.
 */
export function withoutWritten(
  changes: PendingChanges,
  written: PendingChanges,
): PendingChanges | undefined {
  const rest = {
    service: changes.service,
    entries: new Map(
      [...changes.entries].filter(([name, entry]) => written.entries.get(name) !== entry),
    ),
    outside: changes.outside.filter((entry) => !written.outside.includes(entry)),
    removedAt: changes.removedAt === written.removedAt ? undefined : changes.removedAt,
  }
  const isEmpty =
    rest.entries.size === 0 && rest.outside.length === 0 && rest.removedAt === undefined
  return isEmpty ? undefined : rest
}

/**
 * Applies changes to a history as it was read.
 *
 * @param labels Its labels; undefined where there is none.
 * @param changes The changes.
 * @param maxEntries How many deployments are kept.
 * @returns Labels to store; undefined where there is no history, and none is needed.
 */
export function applyChanges(
  labels: Labels | undefined,
  { service, entries, outside, removedAt }: PendingChanges,
  maxEntries: number,
): Labels | undefined {
  const known = readEntries(
    withNotes(labels ?? {}, { service, entries: [...entries.values()] }, maxEntries),
  )
  const added = outside.reduce<readonly HistoryEntry[]>(
    (all, entry) => (isNewOutsideChange(entry, all) ? mergeAll(all, [entry]) : all),
    known,
  )
  if (labels === undefined && added.length === 0) {
    return undefined
  }
  const name = labels?.[SERVICE_LABEL] ?? service
  return withNotes(labels ?? {}, { service: name, entries: added, removedAt }, maxEntries)
}

/** Whether index and time can be in a label. */
function isIdentified({ versionIndex, startedAt }: HistoryEntry): boolean {
  return Number.isSafeInteger(versionIndex) && versionIndex >= 0 && Date.parse(startedAt) >= 0
}
