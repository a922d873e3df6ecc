// Decides whether a task template that others wrote is entered into a history.

import type { HistoryEntry } from './history-entry.ts'

/** Verdicts after which an engine may have rolled back. */
const FAILED: readonly unknown[] = ['rolled-back', 'failed', 'paused', 'timed-out']

/**
 * Decides whether a change that others seem to have made is new. It is not when the newest entry before
 * it, or the one after it, has the same image, `ForceUpdate` and template, or when an engine has rolled back.
 *
 * @param change The change. `previous` is known only where the service shows that the change was made.
 * @param entries The entries of the history, newest first.
 * @returns Whether it has to be entered.
 */
export function isNewOutsideChange(
  change: HistoryEntry,
  entries: readonly HistoryEntry[],
): boolean {
  const before = entries.find(({ versionIndex }) => versionIndex <= change.versionIndex)
  const after = entries.findLast(({ versionIndex }) => versionIndex > change.versionIndex)
  if ((before && isSame(before, change)) || (after && isSame(after, change))) {
    return false
  }
  // Without an entry to compare with, only a change that the service itself shows is one.
  return before === undefined ? change.previous !== undefined : !isRollback(before, change)
}

/** Members that are not known are not compared. */
function isSame(a: HistoryEntry, b: HistoryEntry): boolean {
  const names = ['resolved', 'forceUpdate', 'template'] as const
  return names.every(
    (name) => a[name] === undefined || b[name] === undefined || a[name] === b[name],
  )
}

function isRollback({ verdict, previous }: HistoryEntry, { resolved }: HistoryEntry): boolean {
  return FAILED.includes(verdict) && previous !== undefined && previous === resolved
}
