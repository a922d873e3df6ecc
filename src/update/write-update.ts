// Writes the next spec of a service, with the record of its deployments.

import type { Deployment } from '../deployment/deployment.ts'
import {
  RECORD_LABEL,
  REQUESTED_LABEL,
  type RecordEntry,
  withRecord,
  withRequestTime,
  writerOf,
} from '../deployment/deployment-record.ts'
import { DeployerError } from '../errors.ts'
import { withForeignImage } from '../rollout/log-access.ts'
import { judgePredecessors, type Predecessors } from '../rollout/predecessors.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import type { Swarm, UpdateOutcome } from '../swarm/swarm.ts'
import type { AppliedUpdate, ApplyUpdateTools, PlannedUpdate } from './applied-update.ts'
import { noteRecord, noteStart } from './deployment-notes.ts'
import { newDeployment } from './new-deployment.ts'
import { resumeWarnings } from './paused-update.ts'
import { updateCredentials } from './registry-credentials.ts'
import { nextSpec } from './spec-change.ts'
import type { PendingUpdate } from './update-publisher.ts'

/**
 * Writes an update to a service. The deployments that it replaces are judged before, while the deployment
 * is stored, and end as judged once the engine has accepted the update.
 *
 * @param current The service as it was last read.
 * @param update The update.
 * @param tools The swarm, and the known deployments.
 * @returns The new deployment; undefined when the service has changed, and nothing was written.
 * @throws DeployerError what the {@link Swarm} throws. When the write itself throws, its result is unknown.
 */
export async function writeUpdate(
  current: Service,
  update: PlannedUpdate,
  tools: ApplyUpdateTools,
): Promise<AppliedUpdate | undefined> {
  const { request, change, registryAuth, lastReadings } = update
  const deployment = newDeployment(current, { request, change, nowMs: tools.swarm.now() })
  const preparing = tools.publisher.prepare(deployment, request.origin)
  const options = { replacedBy: deployment.image, lastReadings }
  const predecessors = await judgePredecessors(current, options, tools).catch(async (error) => {
    ;(await preparing).aborted()
    throw error
  })
  const Spec = specOf(deployment, { current, update, predecessors, tools })
  const { previous: from, resolved: to } = deployment
  const credentials = updateCredentials({ from, to, registryAuth }, tools.foreignRegistry)
  const pending = await preparing
  const sent = { next: Spec, registryAuth: credentials.registryAuth, pending }
  const outcome = await sendUpdate(current, sent, tools.swarm).catch((error) => {
    predecessors.release()
    throw error
  })
  if (outcome === 'out-of-sequence') {
    predecessors.release()
    pending.aborted()
    return undefined
  }
  predecessors.end()
  const { UpdateStatus: _, ...rest } = current
  const Version = { Index: current.Version.Index + 1 }
  const written = { ...rest, Version, Spec, PreviousSpec: current.Spec }
  const known = tools.deployments.create(deployment, written)
  noteStart(deployment, { request, Spec, history: tools.history })
  noteRecord(current, tools.history)
  await pending.committed(known)
  const warnings = [...credentials.warnings, ...resumeWarnings(current, change)]
  return { deployment: known, warnings }
}

interface NextSpecParts {
  readonly current: Service
  readonly update: PlannedUpdate
  readonly predecessors: Predecessors
  readonly tools: ApplyUpdateTools
}

/** The next spec, with the record of its deployments. */
function specOf(
  { versionIndex, startedAt, serviceId }: Deployment,
  { current, update, predecessors, tools }: NextSpecParts,
): ServiceSpec {
  const { request, change, received } = update
  const { idempotencyFingerprint: key } = request
  const changed = withForeignImage(nextSpec(current.Spec, change), current.Spec)
  const entry = { versionIndex, startedAt, ...(key === undefined ? {} : { key }) }
  const endings = [...tools.deployments.endings(serviceId), ...predecessors.endings]
  const isNoted = (one: RecordEntry): boolean => tools.history.isNoted(serviceId, one)
  const limits = { maxEntries: tools.maxRecordEntries, isNoted }
  return withRequestTime(withRecord(changed, entry, endings, limits), received.atMs)
}

interface Update {
  readonly next: ServiceSpec
  readonly registryAuth: string | undefined
  readonly pending: PendingUpdate
}

/**
 * Sends an update once. The engine may have accepted it even when the call fails: a leader that loses its
 * quorum responds with 500 and keeps the spec, and a connection can break after the request was sent. So
 * the service is read before the failure is reported, unless the adapter knows that the update was not
 * applied; the record of the service has the write, or has not.
 */
async function sendUpdate(
  current: Service,
  { next, registryAuth, pending }: Update,
  swarm: Swarm,
): Promise<UpdateOutcome> {
  try {
    const credentials = registryAuth === undefined ? {} : { registryAuth }
    return await swarm.updateService(current, next, credentials)
  } catch (error) {
    if (error instanceof DeployerError && error.notApplied) {
      pending.aborted()
      throw error
    }
    const latest = await swarm.inspectService(current.ID).catch(() => undefined)
    if (latest !== undefined && isSameWrite(latest.Spec, next)) {
      return 'updated'
    }
    pending.uncertain()
    throw error
  }
}

/** Two Deployers can replace the same version in the same millisecond: all that a write leaves is compared. */
function isSameWrite(one: ServiceSpec, other: ServiceSpec): boolean {
  const labels = [RECORD_LABEL, REQUESTED_LABEL]
  return (
    writerOf(one) !== undefined &&
    labels.every((label) => one.Labels?.[label] === other.Labels?.[label])
  )
}
