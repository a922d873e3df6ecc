// Joins the rollout of a service that already has the requested image, or observes how the service fares.

import { isMadeOf } from '../convergence/tasks.ts'
import { type Deployment, rolloutOf } from '../deployment/deployment.ts'
import { deploymentOf } from '../deployment/service-deployment.ts'
import { type KnownDeployment, outcomeOf } from '../rollout/known-deployment.ts'
import type { RolloutWatch } from '../rollout/rollout-watch.ts'
import type { Service } from '../swarm/service.ts'
import { isPaused } from '../swarm/service-spec.ts'
import type { AppliedUpdate, ApplyUpdateTools, PlannedUpdate } from './applied-update.ts'
import { observation, unwrittenDeployment } from './new-deployment.ts'
import { pausedNotice } from './paused-update.ts'
import { findUpdatable } from './service-access.ts'

/**
 * Joins the rollout that wrote the image of a service, when it is in progress or paused. When it has
 * ended, its verdict is final: the request gets `unchanged` where the service's tasks run now, and else an
 * observation of how they fare from now on, which all requests for the same share.
 *
 * @param current The service as it was just read; it has the image.
 * @param update The update, which needs no write.
 * @param tools The swarm, and the known deployments.
 * @returns The deployment; undefined when the service has changed.
 * @throws DeployerError what {@link findUpdatable} throws.
 */
export async function joinApplied(
  current: Service,
  update: PlannedUpdate,
  tools: ApplyUpdateTools,
): Promise<AppliedUpdate | undefined> {
  const { request, change } = update
  const { deployments, publisher, swarm } = tools
  const accept = async (
    deployment: KnownDeployment,
    warnings: readonly string[] = [],
  ): Promise<AppliedUpdate> => {
    await publisher.publishAccepted(deployment, request.origin)
    return { deployment, warnings }
  }
  const image = request.image?.given ?? change.image
  const writer: Deployment = { ...deploymentOf(current, swarm.now()), image }
  const joined = findJoinable(current, writer, tools)
  if (joined !== undefined) {
    return { deployment: joined, warnings: [] }
  }
  const known = deployments.findByWrite(writer)
  const verdict = known && outcomeOf(known)?.verdict
  let latest: Service | undefined = current
  if (isRolledBack(current)) {
    // A later update has ended the deployment that wrote this spec, whose verdict is final.
  } else if (known === undefined) {
    // A paused update is judged by the current service, even when others started it.
    const watch = deployments.inspect(writer, isPaused(current) ? { known: current } : {})
    await watch.observed()
    const observed = watch.outcome()?.verdict
    if (observed === undefined) {
      return accept(deployments.register(watch))
    }
    if (observed === 'paused') {
      return accept(deployments.register(watch), [pausedNotice(current)])
    }
    if (observed === 'converged') {
      return accept(unchanged(current, update, tools))
    }
    latest = await findUnchanged(current, update, tools)
  } else if (verdict === 'paused') {
    return accept(known, [pausedNotice(current)])
  }
  if (latest === undefined) {
    return undefined
  }
  const watch = observe(latest, update, tools)
  await watch.observed()
  return watch.outcome()?.verdict === 'converged'
    ? accept(unchanged(latest, update, tools))
    : accept(deployments.register(watch))
}

/** The deployment that wrote the spec, if it is in progress here, or an observation of it. */
function findJoinable(
  service: Service,
  writer: Deployment,
  { deployments }: ApplyUpdateTools,
): KnownDeployment | undefined {
  return deployments
    .inProgress(service.ID)
    .find(({ deployment }) =>
      deployment.unwritten === 'observed'
        ? isMadeOf(rolloutOf(deployment), service.Spec.TaskTemplate)
        : deployment.versionIndex === writer.versionIndex && !isRolledBack(service),
    )
}

/** Whether the service has its spec because a later update was rolled back. */
function isRolledBack({ UpdateStatus }: Service): boolean {
  return UpdateStatus?.State?.startsWith('rollback_') === true
}

async function findUnchanged(
  current: Service,
  { request }: PlannedUpdate,
  { swarm }: ApplyUpdateTools,
): Promise<Service | undefined> {
  const latest = await findUpdatable(request, swarm)
  return latest.Version.Index === current.Version.Index ? latest : undefined
}

/** Watches the tasks of the current spec from now on. */
function observe(
  service: Service,
  { request, change }: PlannedUpdate,
  { deployments, swarm }: ApplyUpdateTools,
): RolloutWatch {
  const deployment = observation(service, { request, change, nowMs: swarm.now() })
  return deployments.inspect(deployment, { known: service })
}

function unchanged(
  service: Service,
  { request, change }: PlannedUpdate,
  { deployments, swarm }: ApplyUpdateTools,
): KnownDeployment {
  const parts = { request, change, nowMs: swarm.now() }
  const deployment = unwrittenDeployment(service, parts, 'unchanged')
  const message = `Service "${service.Spec.Name}" runs ${deployment.resolved} already`
  return deployments.addUnwritten(deployment, message)
}
