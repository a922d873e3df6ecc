// A deployment as the history of its service has it, and the reverse.

import type { Deployment } from '../deployment/deployment.ts'
import { errorLine } from '../deployment/error-line.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { HistoryService } from './deployment-history.ts'
import type { HistoryEntry } from './history-entry.ts'

/**
 * Describes a deployment that was written.
 *
 * @param deployment The deployment.
 * @returns Its entry, without what only the request knows.
 */
export function entryOf({
  versionIndex,
  startedAt,
  image,
  resolved,
  previous,
  forceUpdate,
}: Deployment): HistoryEntry {
  return { versionIndex, startedAt, image, resolved, previous, forceUpdate }
}

/**
 * Describes a deployment that has ended.
 *
 * @param deployment The deployment.
 * @param outcome How it ended.
 * @returns Its entry.
 */
export function endedEntryOf(deployment: Deployment, outcome: Outcome): HistoryEntry {
  const { verdict, endedAt } = outcome
  const error = errorLine(outcome)
  return { ...entryOf(deployment), verdict, endedAt, ...(error === '' ? {} : { error }) }
}

/**
 * Reads a deployment from the history.
 *
 * @param service The service.
 * @param entry The entry.
 * @returns The deployment. Images that the entry does not have are empty: no task is made of them.
 */
export function deploymentOfEntry(
  { service, serviceId }: HistoryService,
  { versionIndex, startedAt, image, resolved, previous = '', forceUpdate = '0' }: HistoryEntry,
): Deployment {
  const written = resolved ?? image ?? ''
  return {
    ...{ service, serviceId, versionIndex, startedAt, previous, forceUpdate },
    image: image ?? written,
    resolved: written,
  }
}

/**
 * Reads from the history how a deployment ended.
 *
 * @param entry The entry.
 * @returns The outcome; undefined while the entry has no verdict.
 */
export function outcomeOfEntry({
  verdict,
  endedAt,
  startedAt,
  error,
}: HistoryEntry): Outcome | undefined {
  return verdict === undefined
    ? undefined
    : { verdict, endedAt: endedAt ?? startedAt, ...(error === undefined ? {} : { message: error }) }
}
