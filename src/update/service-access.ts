// Finds the service of a request, and checks that it may be updated.

import { DeployerError } from '../errors.ts'
import { isExpectedImage } from '../swarm/image-reference.ts'
import type { Service } from '../swarm/service.ts'
import { isServiceName } from '../swarm/service-name.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { Swarm } from '../swarm/swarm.ts'
import type { DeployRequest } from './deploy-request.ts'
import { findUpdateObstacle } from './update-permission.ts'

/**
 * Finds the service of a request.
 *
 * @param request The request.
 * @param swarm The swarm.
 * @returns The service, which has an image and allows updates.
 * @throws DeployerError `service-not-found`, `updates-not-allowed`, `unsupported-service`, and
 *   what the {@link Swarm} throws.
 */
export async function findUpdatable(
  { service: nameOrId }: DeployRequest,
  swarm: Swarm,
): Promise<Service> {
  const service = await findService(nameOrId, swarm)
  updatableImage(service)
  return service
}

/**
 * Finds a service by its full name or ID. The engine also accepts a prefix of an ID, which could match
 * another service by mistake.
 *
 * @param nameOrId The name or ID that a caller sent, percent-decoded.
 * @param swarm The swarm.
 * @returns The service.
 * @throws DeployerError `service-not-found`, and what the {@link Swarm} throws.
 */
export async function findService(nameOrId: string, swarm: Swarm): Promise<Service> {
  if (isServiceName(nameOrId)) {
    const service = await swarm.inspectService(nameOrId)
    if (service.Spec.Name === nameOrId || service.ID === nameOrId) {
      return service
    }
  }
  throw new DeployerError(
    'service-not-found',
    `Cannot find service ${JSON.stringify(nameOrId.slice(0, 100))}: give the full name or ID that "docker service ls" shows`,
  )
}

/**
 * Gets the image of a service that may be updated.
 *
 * @param service The service.
 * @returns Its image, as in the spec.
 * @throws DeployerError `updates-not-allowed`, `unsupported-service`.
 */
export function updatableImage({ Spec }: Service): string {
  const obstacle = findUpdateObstacle(Spec)
  if (obstacle !== undefined) {
    const { code, reason, remedy } = obstacle
    throw new DeployerError(code, `Cannot update service "${Spec.Name}": ${reason}; ${remedy}`)
  }
  return currentImage(Spec) ?? ''
}

/**
 * Checks that a service has the image that the caller expects.
 *
 * @param service The service.
 * @param request The request.
 * @throws DeployerError `image-mismatch` when it has another one.
 */
export function checkExpected({ Spec }: Service, { expect }: DeployRequest): void {
  const running = currentImage(Spec) ?? ''
  if (expect !== undefined && !isExpectedImage(expect, running)) {
    throw new DeployerError(
      'image-mismatch',
      `Cannot update service "${Spec.Name}": it has ${running}, not ${expect.given} as expected; check which deployment changed it`,
      { members: { service: Spec.Name, expected: expect.given, running } },
    )
  }
}
