// The steps of a deployment: find the service, resolve the image, wait for the service's queue, write.

import { DeployerError, type ProblemCode } from '../errors.ts'
import type { HistoryRecorder } from '../history/history-recorder.ts'
import type { NamedDeployment } from '../rollout/known-deployment.ts'
import type { OpenedDeployments } from '../rollout/opened-deployments.ts'
import { hasUnknownPredecessor, type LastReadings, readLast } from '../rollout/predecessors.ts'
import { currentTimeMs } from '../swarm/current-time.ts'
import { digestOf, isExpectedImage } from '../swarm/image-reference.ts'
import type { Service } from '../swarm/service.ts'
import type { ServiceEvents } from '../swarm/service-events.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { AppliedUpdate, ApplyUpdateTools, ReceivedRequest } from './applied-update.ts'
import { applyUpdate } from './apply-update.ts'
import type { DeployRequest } from './deploy-request.ts'
import { joinNoted, joinRecorded } from './join-earlier.ts'
import { findUpdatable } from './service-access.ts'
import type { ServiceQueues, WriteResult } from './service-queue.ts'
import { acceptSuperseded } from './superseded-request.ts'
import { type PlanTools, planUpdate, type UpdatePlan } from './update-plan.ts'

/** The dependencies of a deployment. */
export interface DeployTools extends PlanTools, ApplyUpdateTools {
  readonly history: HistoryRecorder
  readonly events: ServiceEvents
  readonly openedDeployments: OpenedDeployments
  readonly queues: ServiceQueues<AppliedUpdate<NamedDeployment>>
  /** Numbers requests in the order in which they arrive. */
  readonly nextOrder: () => number
}

/** An accepted deployment, and the warnings for its caller. */
export type AcceptedDeployment = AppliedUpdate<NamedDeployment>

// The errors that a caller can correct. They are published; those of the engine or a registry are not.
const REJECTIONS: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'service-not-found',
  'updates-not-allowed',
  'unsupported-service',
  'image-mismatch',
  'image-not-found',
  'image-not-readable',
  'no-suitable-node',
])

/**
 * Deploys an image to a service, and publishes what happens.
 *
 * @param request The request.
 * @param tools The swarm, its queues, and the known deployments.
 * @returns The deployment, once the engine has accepted it, or the one that the request joined.
 * @throws DeployerError `service-not-found`, `idempotency-key-reused`, and what {@link planUpdate} and
 *   {@link applyUpdate} throw.
 */
export async function deploy(
  request: DeployRequest,
  tools: DeployTools,
): Promise<AcceptedDeployment> {
  const order = tools.nextOrder()
  try {
    const atMs = currentTimeMs(tools.swarm)
    const service = await findUpdatable(request, tools.swarm)
    tools.events.prepare()
    const recorded = await joinRecorded(request, service, tools)
    if (recorded !== undefined) {
      return recorded
    }
    const lastReadings = readBeforeWrite(request, service, tools)
    const [noted, plan] = await planUnlessNoted(request, service, tools)
    if (noted !== undefined) {
      return noted
    }
    const received = { atMs, versionIndex: service.Version.Index }
    const result = await enqueueUpdate({ request, plan, order, received, lastReadings }, tools)
    if (result.kind === 'written') {
      return withPlanWarnings(result.value, plan)
    }
    const earlier = await joinEarlier(request, tools)
    if (earlier !== undefined) {
      return earlier
    }
    const message = supersededMessage(result.by.deployment)
    const { change, warnings } = plan
    const { deployment } = await acceptSuperseded({ request, change, service, message }, tools)
    return { deployment, warnings }
  } catch (error) {
    await publishRejection(error, request, tools)
    throw error
  }
}

/**
 * A process that was killed may have sent the update of an earlier request with the same key, and the engine
 * may have applied it after this request read the service.
 */
async function joinEarlier(
  request: DeployRequest,
  tools: DeployTools,
): Promise<AcceptedDeployment | undefined> {
  if (request.idempotencyFingerprint === undefined) {
    return undefined
  }
  const latest = await findUpdatable(request, tools.swarm)
  return (await joinRecorded(request, latest, tools)) ?? joinNoted(request, latest, tools)
}

/** What the judgement of an unknown predecessor needs is read while the registry is asked. */
function readBeforeWrite(
  { image, force }: DeployRequest,
  service: Service,
  tools: DeployTools,
): Promise<LastReadings> | undefined {
  const isProbablyWritten =
    force || (image !== undefined && !isExpectedImage(image, currentImage(service.Spec) ?? ''))
  if (!isProbablyWritten || !hasUnknownPredecessor(service, tools.deployments)) {
    return undefined
  }
  const reading = readLast(service.ID, { ...tools, withHistory: true })
  reading.catch(() => {})
  return reading
}

type NotedOrPlan =
  | readonly [noted: AcceptedDeployment, plan: undefined]
  | readonly [noted: undefined, plan: UpdatePlan]

/** The history is read while the registry is asked. An earlier deployment needs no plan. */
async function planUnlessNoted(
  request: DeployRequest,
  service: Service,
  tools: DeployTools,
): Promise<NotedOrPlan> {
  const planned = planUpdate(service, request, tools)
  planned.catch(() => {})
  const noted = await joinNoted(request, service, tools)
  return noted === undefined ? [undefined, await planned] : [noted, undefined]
}

interface QueuedUpdate {
  readonly request: DeployRequest
  readonly plan: UpdatePlan
  readonly order: number
  readonly received: ReceivedRequest
  readonly lastReadings: Promise<LastReadings> | undefined
}

/** The service of the plan is used only when no other request was written meanwhile. */
function enqueueUpdate(
  { request, plan, order, received, lastReadings }: QueuedUpdate,
  tools: DeployTools,
): Promise<WriteResult<AcceptedDeployment>> {
  const { service, change, registryAuth } = plan
  const { image, expect, resume, idempotencyFingerprint } = request
  // Each key has a restart of its own. The record has room for one key of a write.
  const restart = change.force ? idempotencyFingerprint : undefined
  return tools.queues.enqueue(service.ID, {
    order,
    key: JSON.stringify([image && change.image, change.force, restart, expect?.given, resume]),
    write: async (hasWaited) => {
      const read = hasWaited ? undefined : service
      const readings = hasWaited ? undefined : await lastReadings
      const update = { request, change, registryAuth, received, lastReadings: readings }
      const applied = await applyUpdate(update, read, tools)
      // The queue keeps the result: without the rollout, and all that was read for it.
      const { id, deployment } = applied.deployment
      return { deployment: { id, deployment }, warnings: applied.warnings }
    },
  })
}

function withPlanWarnings(
  { deployment, warnings }: AcceptedDeployment,
  { change, warnings: planWarnings }: UpdatePlan,
): AcceptedDeployment {
  const { unwritten } = deployment.deployment
  const mayBeOld = unwritten === 'unchanged' && digestOf(change.image) === null
  return {
    deployment,
    warnings: [...planWarnings, ...warnings, ...(mayBeOld ? [notPinned(change.image)] : [])],
  }
}

function supersededMessage({ id, deployment }: NamedDeployment): string {
  return deployment.unwritten === 'superseded'
    ? 'A later request was written first'
    : `A later request was written first: ${deployment.image}, deployment ${id}`
}

async function publishRejection(
  error: unknown,
  { service, image, origin }: DeployRequest,
  { publisher, swarm }: DeployTools,
): Promise<void> {
  if (error instanceof DeployerError && REJECTIONS.has(error.code)) {
    const named = { service: service.slice(0, 100), image: image?.given ?? '' }
    await publisher.publishRefused({
      ...named,
      reason: error.message,
      nowMs: currentTimeMs(swarm),
      origin,
    })
  }
}

function notPinned(image: string): string {
  return `${image} is not pinned to a digest, so the registry may have a newer one; send {"force": true} with it to pull it again`
}
