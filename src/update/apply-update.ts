// Writing a service: over the spec that is there now, once, and never blindly again.

import { type RecordEntry, withRecord, writerOf } from '../deployment/deployment-record.ts'
import { deploymentOf } from '../deployment/service-deployment.ts'
import { DeployerError } from '../errors.ts'
import type { NotificationPublisher } from '../notification/notification-publisher.ts'
import type { PendingWrite } from '../notification/pending-write.ts'
import type { Deployments } from '../rollout/deployments.ts'
import type { KnownDeployment } from '../rollout/known-deployment.ts'
import { withForeignImage } from '../rollout/log-access.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import { currentImage, isPaused } from '../swarm/service-spec.ts'
import type { Swarm, UpdateOutcome } from '../swarm/swarm.ts'
import type { DeployRequest } from './deploy-request.ts'
import { newDeployment } from './new-deployment.ts'
import { pausedNotice, resumeWarnings } from './paused-update.ts'
import { type ForeignRegistry, updateCredentials } from './registry-credentials.ts'
import { checkExpected, findUpdatable } from './service-access.ts'
import { isApplied, nextSpec, type SpecChange } from './spec-change.ts'

// Swarm's orchestrator bumps a service's version while it rolls out, a few times a second at most.
const KEEP_TRYING_MS = 10_000
const LONGEST_PAUSE_MS = 400

/** What is to be written, and why. */
export interface UpdatePlan {
  readonly wish: DeployRequest
  readonly change: SpecChange
  /** What the nodes are to pull the image with. Secret. */
  readonly registryAuth?: string | undefined
}

/** A deployment, and what its caller should know of the write. */
export interface AppliedUpdate<T = KnownDeployment> {
  readonly deployment: T
  readonly warnings: readonly string[]
}

/** What writing needs. */
export interface ApplyUpdateTools {
  readonly swarm: Swarm
  /** What becomes of stored credentials where the registry changes. */
  readonly foreignRegistry: ForeignRegistry
  readonly deployments: Deployments
  readonly announcer: NotificationPublisher
}

/**
 * Writes over the newest spec of a service. When that changes under the write, it is read whole again
 * and the wish is applied anew, so that nobody's change is lost.
 *
 * @param plan What is to be written.
 * @param service The service as it was last read; undefined: it has surely changed since.
 * @param tools The swarm that has it.
 * @returns The deployment: a new one, or the one that wrote that very image before.
 * @throws DeployerError `update-out-of-sequence` when the service changed under every attempt for
 *   10 s, `image-mismatch`, and whatever finding a service and the {@link Swarm} throw.
 */
export async function applyUpdate(
  plan: UpdatePlan,
  service: Service | undefined,
  tools: ApplyUpdateTools,
): Promise<AppliedUpdate> {
  const { wish, change } = plan
  const giveUpAt = performance.now() + KEEP_TRYING_MS
  // A write over an old service is refused; that nothing is to be written has to be true now.
  const isOld = service === undefined || isApplied(service, change)
  let current = isOld ? await findUpdatable(wish, tools.swarm) : service
  for (let attempt = 1; ; attempt += 1) {
    checkExpected(current, wish)
    const act = isApplied(current, change) ? joinApplied : writeSpec
    const written = await act(current, planOver(current, plan), tools)
    if (written !== undefined) {
      return written
    }
    if (performance.now() >= giveUpAt) {
      throw new DeployerError(
        'update-out-of-sequence',
        `Cannot update service "${current.Spec.Name}": somebody else changed it at each of ${attempt} attempts; nothing was written, try again`,
        { retryAfterSeconds: 1 },
      )
    }
    await pause(attempt)
    current = await findUpdatable(wish, tools.swarm)
  }
}

/** Who names no image wants that of the service, which may be another one by now. */
function planOver({ Spec }: Service, plan: UpdatePlan): UpdatePlan {
  const image = plan.wish.image === undefined ? currentImage(Spec) : undefined
  return image === undefined ? plan : { ...plan, change: { ...plan.change, image } }
}

/** Undefined: somebody else changed the service, and nothing was written. */
async function writeSpec(
  current: Service,
  { wish, change, registryAuth }: UpdatePlan,
  tools: ApplyUpdateTools,
): Promise<AppliedUpdate | undefined> {
  const endings = await endingsOf(current, tools)
  const deployment = newDeployment(current, { wish, change, nowMs: tools.swarm.now() })
  const { versionIndex, startedAt } = deployment
  const key = wish.idempotencyFingerprint === undefined ? {} : { key: wish.idempotencyFingerprint }
  const next = withForeignImage(nextSpec(current.Spec, change), current.Spec)
  const Spec = withRecord(next, { versionIndex, startedAt, ...key }, endings)
  const intention = await tools.announcer.prepare(deployment, wish.origin)
  const { previous: from, resolved: to } = deployment
  const credentials = updateCredentials({ from, to, registryAuth }, tools.foreignRegistry)
  const update = { next: Spec, registryAuth: credentials.registryAuth, intention }
  if ((await sendUpdate(current, update, tools.swarm)) === 'out-of-sequence') {
    intention.aborted()
    return undefined
  }
  const { UpdateStatus: _, ...rest } = current
  const Version = { Index: current.Version.Index + 1 }
  const written = { ...rest, Version, Spec, PreviousSpec: current.Spec }
  const known = tools.deployments.create(deployment, written)
  await intention.committed(known)
  const warnings = [...credentials.warnings, ...resumeWarnings(current, change)]
  return { deployment: known, warnings }
}

interface Update {
  readonly next: ServiceSpec
  readonly registryAuth: string | undefined
  readonly intention: PendingWrite
}

/**
 * Writes the next spec. A call that fails may have been heard all the same: a leader that loses its
 * quorum answers 500 and keeps the spec, a connection can break after the request was sent. So the
 * service is looked at before a failure is called one; the record tells whose write it has.
 */
async function sendUpdate(
  current: Service,
  { next, registryAuth, intention }: Update,
  swarm: Swarm,
): Promise<UpdateOutcome> {
  try {
    const credentials = registryAuth === undefined ? {} : { registryAuth }
    return await swarm.updateService(current, next, credentials)
  } catch (error) {
    const now = await swarm.inspectService(current.ID).catch(() => undefined)
    const writer = now && writerOf(now.Spec)
    const ours = writerOf(next)
    if (writer?.versionIndex === ours?.versionIndex && writer?.startedAt === ours?.startedAt) {
      return 'updated'
    }
    intention.uncertain()
    throw error
  }
}

/**
 * How the deployments before this one end. The one that wrote the spec is looked at when this process
 * knows nothing of it: nobody can later.
 */
async function endingsOf(
  current: Service,
  { deployments, swarm }: ApplyUpdateTools,
): Promise<readonly RecordEntry[]> {
  const endings = deployments.endedBefore(current.ID)
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
  const isUnderWay = service !== undefined && error === undefined
  const verdict = watch.outcome()?.verdict ?? (isUnderWay ? 'superseded' : 'unknown')
  return verdict === 'unknown' ? endings : [...endings, { ...newest, verdict }]
}

/**
 * The spec has the image: its rollout is joined when it is under way, or has failed. Undefined:
 * somebody else has written another spec.
 */
async function joinApplied(
  current: Service,
  { wish, change }: UpdatePlan,
  { deployments, announcer, swarm }: ApplyUpdateTools,
): Promise<AppliedUpdate | undefined> {
  const told = async (
    known: KnownDeployment,
    warnings: readonly string[] = [],
  ): Promise<AppliedUpdate> => {
    await announcer.publishAccepted(known, wish.origin)
    return { deployment: known, warnings }
  }
  const nowMs = swarm.now()
  const newest = writerOf(current.Spec)
  const underWay = deployments.underWay(current.ID)
  if (underWay !== undefined && underWay.deployment.versionIndex === newest?.versionIndex) {
    return { deployment: underWay, warnings: [] }
  }
  const image = wish.image?.given ?? change.image
  const shown = { ...deploymentOf(current, nowMs), image }
  // A paused update is judged by the service as it is, whoever began it.
  const watch = deployments.inspect(shown, isPaused(current) ? { known: current } : {})
  await watch.observed()
  const verdict = watch.outcome()?.verdict
  if (verdict === undefined || verdict === 'paused' || verdict === 'rolled-back') {
    const notices = verdict === 'paused' ? [pausedNotice(current)] : []
    return told(deployments.register(watch), notices)
  }
  if (verdict !== 'converged') {
    const now = await findUpdatable(wish, swarm)
    if (now.Version.Index !== current.Version.Index) {
      return undefined
    }
    // What became of the rollout that wrote the spec is not what became of this request: from now on
    // its tasks run, or they do not.
    const { forceUpdate } = shown
    const fresh = { ...newDeployment(now, { wish, change, nowMs: swarm.now() }), forceUpdate }
    const versionIndex = now.Version.Index - 1
    const again = deployments.inspect({ ...fresh, versionIndex }, { known: now })
    await again.observed()
    if (again.outcome()?.verdict !== 'converged') {
      return told(deployments.register(again))
    }
  }
  const unwritten = newDeployment(current, { wish, change, nowMs, unwritten: 'unchanged' })
  const message = `Service "${current.Spec.Name}" runs ${unwritten.resolved} already`
  return told(deployments.addUnwritten(unwritten, message))
}

function pause(attempt: number): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MS, 20 * 2 ** attempt)
  return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)))
}
