// Merges what two processes know of the same deployment.

import type { EndVerdict } from '../deployment/verdict.ts'
import type { HistoryEntry } from './history-entry.ts'

/**
 * Merges two entries of a deployment, member by member: an absent member never erases one. The end comes
 * from one of the two: a verdict that a process has observed is final, and takes the place of `superseded`
 * and `unknown`, which others concluded.
 *
 * @param stored The entry so far. Of two members that differ, its own counts.
 * @param noted What is added.
 * @returns The merged entry.
 */
export function mergeEntries(stored: HistoryEntry, noted: HistoryEntry): HistoryEntry {
  const [endedFirst, endedLast] =
    rank(noted.verdict) > rank(stored.verdict) ? [noted, stored] : [stored, noted]
  const { verdict: _, endedAt: __, error: ___, ...rest } = { ...noted, ...stored }
  const { verdict = endedLast.verdict, endedAt, error } = endedFirst
  return {
    ...rest,
    ...(verdict === undefined ? {} : { verdict }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(error === undefined ? {} : { error }),
  }
}

/**
 * Merges notes into a list of entries.
 *
 * @param stored The entries so far.
 * @param noted The entries that are added.
 * @returns One entry for each deployment, newest first.
 */
export function mergeAll(
  stored: readonly HistoryEntry[],
  noted: readonly HistoryEntry[],
): readonly HistoryEntry[] {
  const byKey = new Map<string, HistoryEntry>()
  for (const entry of [...stored, ...noted]) {
    const known = byKey.get(entryKey(entry))
    byKey.set(entryKey(entry), known === undefined ? entry : mergeEntries(known, entry))
  }
  return [...byKey.values()].sort(newestFirst)
}

/**
 * Identifies the deployment of an entry within its service.
 *
 * @param entry The entry.
 * @returns The version index, a dash, and the start in milliseconds in base 36.
 */
export function entryKey({
  versionIndex,
  startedAt,
}: Pick<HistoryEntry, 'versionIndex' | 'startedAt'>): string {
  return `${versionIndex}-${Date.parse(startedAt).toString(36)}`
}

function newestFirst(one: HistoryEntry, other: HistoryEntry): number {
  return (
    other.versionIndex - one.versionIndex || Date.parse(other.startedAt) - Date.parse(one.startedAt)
  )
}

function rank(verdict: EndVerdict | undefined): number {
  if (verdict === undefined) {
    return 0
  }
  return verdict === 'unknown' ? 1 : verdict === 'superseded' ? 2 : 3
}
