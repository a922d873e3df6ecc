// The deployment that a request creates, or that an earlier request with the same idempotency key did.

import type { Deployment } from '../deployment/deployment.ts'
import { readRecord, writerOf } from '../deployment/deployment-record.ts'
import { forceUpdateOf, nextForceUpdate } from '../swarm/force-update.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { DeployRequest } from './deploy-request.ts'
import { keyReused } from './idempotency.ts'
import type { SpecChange } from './spec-change.ts'

/**
 * The deployment that an earlier request with the same idempotency key began.
 *
 * @param wish The wish, with its mark.
 * @param service The service.
 * @returns The deployment, when the service has a record of it.
 * @throws DeployerError `idempotency-key-reused`.
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

/** What a deployment is made of. */
export interface DeploymentParts {
  readonly wish: DeployRequest
  readonly change: SpecChange
  /** The time, in milliseconds since 1970. */
  readonly nowMs: number
  readonly unwritten?: 'unchanged' | 'superseded'
}

/**
 * The deployment that a write makes, or would have made.
 *
 * @param service The service as it is before.
 * @param parts What is written, and when.
 * @returns The deployment.
 */
export function newDeployment(
  { ID, Version, Spec }: Service,
  { wish, change, nowMs, unwritten }: DeploymentParts,
): Deployment {
  const forceUpdate = forceUpdateOf(Spec.TaskTemplate)
  return {
    service: Spec.Name,
    serviceId: ID,
    image: wish.image?.given ?? change.image,
    resolved: change.image,
    previous: currentImage(Spec) ?? '',
    forceUpdate: change.force ? nextForceUpdate(forceUpdate) : forceUpdate,
    versionIndex: Version.Index,
    startedAt: new Date(nowMs).toISOString(),
    ...(unwritten === undefined ? {} : { unwritten }),
  }
}
