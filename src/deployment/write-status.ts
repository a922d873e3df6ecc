// Finds out whether a deployment was written when the response of the engine was lost.

import type { Service, ServiceSpec } from '../swarm/service.ts'
import type { Deployment } from './deployment.ts'
import { type RecordEntry, readRecord } from './deployment-record.ts'

// The maximum difference of the clocks of two managers.
const MAX_SKEW_MS = 60_000

/**
 * Determines from a service whether the engine accepted a write.
 *
 * @param deployment The deployment whose write has an unknown result.
 * @param service The current state of its service.
 * @returns `not-yet` where the service has not changed since, so that the engine may still apply the
 *   write; `unknown` where the write may have been replaced: a rollback restores the earlier record, and
 *   a client that replaces all labels removes it.
 */
export function writeStatus(
  deployment: Deployment,
  { Version, Spec, PreviousSpec, UpdateStatus }: Service,
): 'written' | 'not-written' | 'not-yet' | 'unknown' {
  if (isRecorded(deployment, Spec) || (PreviousSpec && isRecorded(deployment, PreviousSpec))) {
    return 'written'
  }
  const { versionIndex, startedAt } = deployment
  if (Version.Index === versionIndex) {
    return 'not-yet'
  }
  const record = readRecord(Spec)
  // The engine accepts one write for each version.
  if (record.some((entry) => entry.versionIndex === versionIndex)) {
    return 'not-written'
  }
  if (isOnlyWriteSince(deployment, record, Version.Index)) {
    return 'not-written'
  }
  const { State, StartedAt } = UpdateStatus ?? {}
  const isRolledBack =
    State?.startsWith('rollback') === true &&
    Date.parse(StartedAt ?? '') > Date.parse(startedAt) - MAX_SKEW_MS
  const isNewest = record[0] !== undefined && record[0].versionIndex < versionIndex
  return isNewest && !isRolledBack ? 'not-written' : 'unknown'
}

/**
 * Each write increments the version. Where there was one since, which is not ours, ours was not written: a
 * rollback of it, or a removal of its labels, would be a second one.
 */
function isOnlyWriteSince(
  { versionIndex }: Deployment,
  record: readonly RecordEntry[],
  currentIndex: number,
): boolean {
  const next = record.findIndex((entry) => entry.versionIndex === versionIndex + 1)
  // Ours would follow that of the next write, unless the record was cut there.
  const hasFollower = next !== -1 && next < record.length - 1
  return currentIndex === versionIndex + 1 || hasFollower
}

function isRecorded({ versionIndex, startedAt }: Deployment, spec: ServiceSpec): boolean {
  return readRecord(spec).some(
    (entry) => entry.versionIndex === versionIndex && entry.startedAt === startedAt,
  )
}
