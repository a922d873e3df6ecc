// Joins the rollout of a service that already has the requested image.

import { writerOf } from '../deployment/deployment-record.ts'
import { deploymentOf } from '../deployment/service-deployment.ts'
import type { KnownDeployment } from '../rollout/known-deployment.ts'
import type { Service } from '../swarm/service.ts'
import { isPaused } from '../swarm/service-spec.ts'
import type { AppliedUpdate, ApplyUpdateTools, PlannedUpdate } from './applied-update.ts'
import { newDeployment } from './new-deployment.ts'
import { pausedNotice } from './paused-update.ts'
import { findUpdatable } from './service-access.ts'

/**
 * Joins the rollout that wrote the image of a service, when it is in progress or has failed. When it has
 * converged, the deployment is `unchanged`.
 *
 * @param current The service, which has the image.
 * @param update The update, which needs no write.
 * @param tools The swarm, and the known deployments.
 * @returns The deployment; undefined when the service has changed.
 * @throws DeployerError what {@link findUpdatable} throws.
 */
export async function joinApplied(
  current: Service,
  { request, change }: PlannedUpdate,
  { deployments, publisher, swarm }: ApplyUpdateTools,
): Promise<AppliedUpdate | undefined> {
  const accept = async (
    deployment: KnownDeployment,
    warnings: readonly string[] = [],
  ): Promise<AppliedUpdate> => {
    await publisher.publishAccepted(deployment, request.origin)
    return { deployment, warnings }
  }
  const nowMs = swarm.now()
  const inProgress = deployments.findInProgress(current.ID)
  const newest = writerOf(current.Spec)
  if (inProgress !== undefined && inProgress.deployment.versionIndex === newest?.versionIndex) {
    return { deployment: inProgress, warnings: [] }
  }
  const shown = { ...deploymentOf(current, nowMs), image: request.image?.given ?? change.image }
  // A paused update is judged by the current service, even when others started it.
  const watch = deployments.inspect(shown, isPaused(current) ? { known: current } : {})
  await watch.observed()
  const verdict = watch.outcome()?.verdict
  if (verdict === undefined || verdict === 'paused' || verdict === 'rolled-back') {
    const notices = verdict === 'paused' ? [pausedNotice(current)] : []
    return accept(deployments.register(watch), notices)
  }
  if (verdict !== 'converged') {
    const latest = await findUpdatable(request, swarm)
    if (latest.Version.Index !== current.Version.Index) {
      return undefined
    }
    // The verdict of the rollout that wrote the spec is not that of this request: it depends on whether
    // the service's tasks run from now on.
    const deployment = newDeployment(latest, { request, change, nowMs: swarm.now() })
    const { forceUpdate } = shown
    const versionIndex = latest.Version.Index - 1
    const again = deployments.inspect(
      { ...deployment, forceUpdate, versionIndex },
      { known: latest },
    )
    await again.observed()
    if (again.outcome()?.verdict !== 'converged') {
      return accept(deployments.register(again))
    }
  }
  const unwritten = newDeployment(current, { request, change, nowMs, unwritten: 'unchanged' })
  const message = `Service "${current.Spec.Name}" runs ${unwritten.resolved} already`
  return accept(deployments.addUnwritten(unwritten, message))
}
