// Joins the deployment that an earlier request with the same idempotency key created, in any process.

import type { Deployment } from '../deployment/deployment.ts'
import { deploymentOfEntry, outcomeOfEntry } from '../history/noted-deployment.ts'
import { endedDeployment, type KnownDeployment } from '../rollout/known-deployment.ts'
import type { Service } from '../swarm/service.ts'
import type { AppliedUpdate, ApplyUpdateTools } from './applied-update.ts'
import type { DeployRequest } from './deploy-request.ts'
import { keyReused } from './idempotency.ts'
import { deploymentByIdempotencyKey } from './new-deployment.ts'

/** The tools of a request that joins an earlier one. */
export type JoinTools = Pick<ApplyUpdateTools, 'deployments' | 'publisher' | 'history'>

/**
 * Joins the deployment of an earlier request that is in the record of the service.
 *
 * @param request The request.
 * @param service The service as it was just read.
 * @param tools The known deployments.
 * @returns The deployment; undefined where the record has no request with this key.
 * @throws DeployerError `idempotency-key-reused` when the earlier request was another one.
 */
export async function joinRecorded(
  request: DeployRequest,
  service: Service,
  tools: JoinTools,
): Promise<AppliedUpdate | undefined> {
  const earlier = deploymentByIdempotencyKey(request, service)
  return earlier === undefined ? undefined : join(await observe(earlier, tools), request, tools)
}

/**
 * Joins the deployment of an earlier request that is in the history of the service. A rollback removes a
 * deployment from the record, but not from the history.
 *
 * @param request The request.
 * @param service The service.
 * @param tools The known deployments, and the history.
 * @returns The deployment; undefined where the history has no request with this key.
 * @throws DeployerError `idempotency-key-reused` when the earlier request was another one.
 */
export async function joinNoted(
  request: DeployRequest,
  { ID: serviceId, Spec: { Name: service } }: Service,
  tools: JoinTools,
): Promise<AppliedUpdate | undefined> {
  const { idempotencyFingerprint: fingerprint } = request
  const [keyHash] = fingerprint?.split('.') ?? []
  if (keyHash === undefined) {
    return undefined
  }
  const entries = await tools.history.read(serviceId)
  const entry = entries.find(({ key }) => key?.startsWith(`${keyHash}.`))
  if (entry === undefined) {
    return undefined
  }
  if (entry.key !== fingerprint) {
    throw keyReused()
  }
  const deployment = deploymentOfEntry({ service, serviceId }, entry)
  const outcome = outcomeOfEntry(entry)
  const known =
    outcome === undefined
      ? await observe(deployment, tools)
      : (tools.deployments.findByWrite(deployment) ?? endedDeployment(deployment, outcome))
  return join(known, request, tools)
}

async function observe(
  deployment: Deployment,
  { deployments }: JoinTools,
): Promise<KnownDeployment> {
  const known = deployments.findByWrite(deployment)
  if (known !== undefined) {
    return known
  }
  const watch = deployments.inspect(deployment)
  await watch.observed()
  return deployments.register(watch)
}

async function join(
  deployment: KnownDeployment,
  { origin }: DeployRequest,
  { publisher }: JoinTools,
): Promise<AppliedUpdate> {
  await publisher.trackJoined(deployment, origin)
  return { deployment, warnings: [] }
}
