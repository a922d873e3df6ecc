// Writes the next spec of a service, with the record of its deployments.

import { type RecordEntry, withRecord, writerOf } from '../deployment/deployment-record.ts'
import { deploymentOf } from '../deployment/service-deployment.ts'
import { withForeignImage } from '../rollout/log-access.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import type { Swarm, UpdateOutcome } from '../swarm/swarm.ts'
import type { AppliedUpdate, ApplyUpdateTools, PlannedUpdate } from './applied-update.ts'
import { newDeployment } from './new-deployment.ts'
import { resumeWarnings } from './paused-update.ts'
import { updateCredentials } from './registry-credentials.ts'
import { nextSpec } from './spec-change.ts'
import type { PendingUpdate } from './update-publisher.ts'

/**
 * Writes an update to a service.
 *
 * @param current The service as it was last read.
 * @param update The update.
 * @param tools The swarm, and the known deployments.
 * @returns The new deployment; undefined when the service has changed, and nothing was written.
 * @throws DeployerError what the {@link Swarm} throws. When the write itself throws, its result is unknown.
 */
export async function writeUpdate(
  current: Service,
  { request, change, registryAuth }: PlannedUpdate,
  tools: ApplyUpdateTools,
): Promise<AppliedUpdate | undefined> {
  const endings = await earlierEndings(current, tools)
  const deployment = newDeployment(current, { request, change, nowMs: tools.swarm.now() })
  const { versionIndex, startedAt, previous: from, resolved: to } = deployment
  const { idempotencyFingerprint: fingerprint } = request
  const key = fingerprint === undefined ? {} : { key: fingerprint }
  const changed = withForeignImage(nextSpec(current.Spec, change), current.Spec)
  const Spec = withRecord(changed, { versionIndex, startedAt, ...key }, endings)
  const pending = await tools.publisher.prepare(deployment, request.origin)
  const credentials = updateCredentials({ from, to, registryAuth }, tools.foreignRegistry)
  const update = { next: Spec, registryAuth: credentials.registryAuth, pending }
  if ((await sendUpdate(current, update, tools.swarm)) === 'out-of-sequence') {
    pending.aborted()
    return undefined
  }
  const { UpdateStatus: _, ...rest } = current
  const Version = { Index: current.Version.Index + 1 }
  const written = { ...rest, Version, Spec, PreviousSpec: current.Spec }
  const known = tools.deployments.create(deployment, written)
  await pending.committed(known)
  const warnings = [...credentials.warnings, ...resumeWarnings(current, change)]
  return { deployment: known, warnings }
}

interface Update {
  readonly next: ServiceSpec
  readonly registryAuth: string | undefined
  readonly pending: PendingUpdate
}

/**
 * Sends an update once. The engine may have accepted it even when the call fails: a leader that loses its
 * quorum responds with 500 and keeps the spec, and a connection can break after the request was sent. So
 * the service is read before the failure is reported; its record has the write, or has not.
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
    const latest = await swarm.inspectService(current.ID).catch(() => undefined)
    const writer = latest && writerOf(latest.Spec)
    const own = writerOf(next)
    if (writer?.versionIndex === own?.versionIndex && writer?.startedAt === own?.startedAt) {
      return 'updated'
    }
    pending.uncertain()
    throw error
  }
}

/**
 * Lists how earlier deployments ended, for the record. The deployment that wrote the current spec is
 * inspected when this process does not know it: after the write, its verdict can no longer be determined.
 */
async function earlierEndings(
  current: Service,
  { deployments, swarm }: ApplyUpdateTools,
): Promise<readonly RecordEntry[]> {
  const endings = deployments.verdictsBeforeWrite(current.ID)
  const newest = writerOf(current.Spec)
  const isKnown =
    newest === undefined ||
    newest.verdict !== undefined ||
    endings.some(({ versionIndex }) => versionIndex === newest.versionIndex)
  if (isKnown) {
    return endings
  }
  const watch = deployments.inspect(deploymentOf(current, swarm.now()), { withoutLogs: true })
  await watch.observed()
  watch.stop()
  const { service, error } = watch.progress().snapshot
  const isInProgress = service !== undefined && error === undefined
  const verdict = watch.outcome()?.verdict ?? (isInProgress ? 'superseded' : 'unknown')
  return verdict === 'unknown' ? endings : [...endings, { ...newest, verdict }]
}
