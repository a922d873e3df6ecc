// The deployment that a request creates, or that an earlier request with the same idempotency key created.

import type { Deployment, FinalDeployment } from '../deployment/deployment.ts'
import { readRecord, writerOf } from '../deployment/deployment-record.ts'
import { forceUpdateOf, nextForceUpdate } from '../swarm/force-update.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { DeployRequest } from './deploy-request.ts'
import { keyReused } from './idempotency.ts'
import type { SpecChange } from './spec-change.ts'

/**
 * Finds the deployment that an earlier request with the same idempotency key created.
 *
 * @param request The request, with its fingerprint.
 * @param service The service.
 * @returns The deployment; undefined when the service has no record of one.
 * @throws DeployerError `idempotency-key-reused` when the earlier request was another one.
 */
export function deploymentByIdempotencyKey(
  { idempotencyFingerprint, image }: DeployRequest,
  service: Service,
): Deployment | undefined {
  const [keyHash] = idempotencyFingerprint?.split('.') ?? []
  const record = readRecord(service.Spec)
  const entry = record.find(({ key }) => keyHash !== undefined && key?.startsWith(`${keyHash}.`))
  if (entry === undefined) {
    return undefined
  }
  if (entry.key !== idempotencyFingerprint) {
    throw keyReused()
  }
  const current = currentImage(service.Spec) ?? ''
  const isNewest = entry === record[0] && writerOf(service.Spec) !== undefined
  const previous = isNewest && service.PreviousSpec ? currentImage(service.PreviousSpec) : undefined
  return {
    service: service.Spec.Name,
    serviceId: service.ID,
    image: image?.given ?? current,
    resolved: isNewest || image === undefined ? current : image.given,
    previous: previous ?? current,
    forceUpdate: forceUpdateOf(service.Spec.TaskTemplate),
    versionIndex: entry.versionIndex,
    startedAt: entry.startedAt,
  }
}

/** The parts of a new deployment. */
export interface DeploymentParts {
  readonly request: DeployRequest
  readonly change: SpecChange
  /** The time, in milliseconds since 1970. */
  readonly nowMs: number
}

/**
 * Creates the deployment of a request.
 *
 * @param service The service before the write.
 * @param parts The request, its change, and the time.
 * @returns The deployment.
 */
export function newDeployment(
  { ID, Version, Spec }: Service,
  { request, change, nowMs }: DeploymentParts,
): Deployment {
  const forceUpdate = forceUpdateOf(Spec.TaskTemplate)
  return {
    service: Spec.Name,
    serviceId: ID,
    image: request.image?.given ?? change.image,
    resolved: change.image,
    previous: currentImage(Spec) ?? '',
    forceUpdate: change.force ? nextForceUpdate(forceUpdate) : forceUpdate,
    versionIndex: Version.Index,
    startedAt: new Date(nowMs).toISOString(),
  }
}

/**
 * Creates the deployment of a request that is not written.
 *
 * @param service The service.
 * @param parts The request, its change, and the time.
 * @param unwritten Why it is not written.
 * @returns The deployment.
 */
export function unwrittenDeployment(
  service: Service,
  parts: DeploymentParts,
  unwritten: FinalDeployment['unwritten'],
): FinalDeployment {
  return { ...newDeployment(service, parts), unwritten }
}

/**
 * Creates the observation of a service that has the requested image: the rollout of its current spec, from
 * now on.
 *
 * @param service The service.
 * @param parts The request, its change, and the time.
 * @returns The deployment.
 */
export function observation(service: Service, parts: DeploymentParts): Deployment {
  const { Spec, Version } = service
  const resolved = currentImage(Spec) ?? ''
  // The engine's state at this version counts, which replaced the version before.
  const versionIndex = Version.Index - 1
  return { ...newDeployment(service, parts), resolved, versionIndex, unwritten: 'observed' }
}
