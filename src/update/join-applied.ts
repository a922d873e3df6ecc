// Joins the rollout of a service that already has the requested image, or observes how the service fares.

import { isMadeOf } from '../convergence/tasks.ts'
import { type Deployment, rolloutOf } from '../deployment/deployment.ts'
import { deploymentOf } from '../deployment/service-deployment.ts'
import { type KnownDeployment, outcomeOf } from '../rollout/known-deployment.ts'
import type { RolloutWatch } from '../rollout/rollout-watch.ts'
import type { Service } from '../swarm/service.ts'
import { isPaused, isRollback } from '../swarm/service-spec.ts'
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
  const image = update.request.image?.given ?? update.change.image
  const writer: Deployment = { ...deploymentOf(current, tools.swarm.now()), image }
  const joinable = findJoinable(current, writer, tools)
  if (joinable !== undefined) {
    return { deployment: joinable, warnings: [] }
  }
  const joined = await joinWriter(writer, { current, update, tools })
  if (joined !== 'ended') {
    return joined
  }
  const watch = observe(current, update, tools)
  await watch.observed()
  return watch.outcome()?.verdict === 'converged'
    ? accept(unchanged(current, update, tools), { update, tools })
    : accept(tools.deployments.register(watch), { update, tools })
}

interface Joining {
  readonly current: Service
  readonly update: PlannedUpdate
  readonly tools: ApplyUpdateTools
}

/**
 * Joins the deployment that wrote the spec, unless it has ended; undefined when the service has changed since
 * it was read.
 */
async function joinWriter(
  writer: Deployment,
  { current, update, tools }: Joining,
): Promise<AppliedUpdate | 'ended' | undefined> {
  const { deployments } = tools
  if (isRollback(current)) {
    // A later update has ended it.
    return 'ended'
  }
  const known = deployments.findByWrite(writer)
  if (known !== undefined) {
    return outcomeOf(known)?.verdict === 'paused'
      ? accept(known, { update, tools, warnings: [pausedNotice(current)] })
      : 'ended'
  }
  // A paused update is judged by the current service, even when others started it.
  const watch = deployments.inspect(writer, isPaused(current) ? { known: current } : {})
  await watch.observed()
  switch (watch.outcome()?.verdict) {
    case undefined:
      return accept(deployments.register(watch), { update, tools })
    case 'paused': {
      const warnings = [pausedNotice(current)]
      return accept(deployments.register(watch), { update, tools, warnings })
    }
    case 'converged':
      return accept(unchanged(current, update, tools), { update, tools })
  }
  const { Version } = await findUpdatable(update.request, tools.swarm)
  return Version.Index === current.Version.Index ? 'ended' : undefined
}

async function accept(
  deployment: KnownDeployment,
  {
    update: { request },
    tools: { publisher },
    warnings = [],
  }: Omit<Joining, 'current'> & { readonly warnings?: readonly string[] },
): Promise<AppliedUpdate> {
  await publisher.publishAccepted(deployment, request.origin)
  return { deployment, warnings }
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
        : deployment.versionIndex === writer.versionIndex && !isRollback(service),
    )
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
