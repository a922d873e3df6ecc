// Pure: whether a service shows that a deployment was written, when nobody heard the engine's answer.

import type { Service, ServiceSpec } from '../swarm/service.ts'
import type { Deployment } from './deployment.ts'
import { readRecord } from './deployment-record.ts'

// Between the clocks of two managers.
const MAX_SKEW_MS = 60_000

/**
 * Tells whether the engine took a write.
 *
 * @param deployment The deployment that was to be written.
 * @param service Its service, as it is now.
 * @returns `not-yet` where the service has not changed since, so that the write may still come through;
 *   `unknown` where it may have come and gone: a rollback takes Deployer's record back, and so does
 *   whoever sets all labels anew.
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
  // The engine takes one write over each version.
  if (record.some((entry) => entry.versionIndex === versionIndex)) {
    return 'not-written'
  }
  const { State, StartedAt } = UpdateStatus ?? {}
  const isRolledBack =
    State?.startsWith('rollback') === true &&
    Date.parse(StartedAt ?? '') > Date.parse(startedAt) - MAX_SKEW_MS
  const isNewest = record[0] !== undefined && record[0].versionIndex < versionIndex
  return isNewest && !isRolledBack ? 'not-written' : 'unknown'
}

function isRecorded({ versionIndex, startedAt }: Deployment, spec: ServiceSpec): boolean {
  return readRecord(spec).some(
    (entry) => entry.versionIndex === versionIndex && entry.startedAt === startedAt,
  )
}
