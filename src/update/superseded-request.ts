// A request that is not written, because a later one was written first.

import type { Service } from '../swarm/service.ts'
import type { AppliedUpdate, ApplyUpdateTools } from './applied-update.ts'
import type { DeployRequest } from './deploy-request.ts'
import { unwrittenDeployment } from './new-deployment.ts'
import type { SpecChange } from './spec-change.ts'

/** A request that is superseded. */
export interface SupersededRequest {
  readonly request: DeployRequest
  readonly change: SpecChange
  /** The service as it was last read. */
  readonly service: Service
  /** Which request was written first. */
  readonly message: string
}

/**
 * Accepts a superseded request: it has a deployment of its own, whose verdict is final.
 *
 * @param superseded The request.
 * @param tools The known deployments, and the notifications.
 * @returns The deployment.
 */
export async function acceptSuperseded(
  { request, change, service, message }: SupersededRequest,
  { deployments, publisher, swarm }: Pick<ApplyUpdateTools, 'deployments' | 'publisher' | 'swarm'>,
): Promise<AppliedUpdate> {
  const parts = { request, change, nowMs: swarm.now() }
  const unwritten = unwrittenDeployment(service, parts, 'superseded')
  const deployment = deployments.addUnwritten(unwritten, message)
  await publisher.publishAccepted(deployment, request.origin)
  return { deployment, warnings: [] }
}
