// The story of a deployment: inspect the service, check that its owner allows updates, write the
// next spec.

import type { ImageReference } from './image-reference.ts'
import type { Service, ServiceSpec, Swarm, UpdateOutcome } from './ports.ts'
import { DeployerError } from './problem.ts'
import { isServiceName } from './service-name.ts'
import { ALLOW_UPDATES_LABEL, allowsUpdates, currentImage, nextSpec } from './service-spec.ts'

/** What a caller wants: that a service runs an image. */
export interface Wish {
  /** The service's name or full ID, percent-decoded, not yet checked. */
  readonly service: string
  /** The image, parsed at the edge. */
  readonly image: ImageReference
}

/** A wish that the engine has written down, or that was fulfilled already. */
export interface Deployment {
  /** The service's name. */
  readonly service: string
  readonly serviceId: string
  /** The image exactly as the caller sent it. */
  readonly image: string
  /** The image that the spec named before. */
  readonly previous: string
}

// Swarm's orchestrator bumps a service's version while it rolls out, a few times a second at most.
const KEEP_TRYING_MS = 10_000
const LONGEST_PAUSE_MS = 400

/**
 * Updates a service to an image.
 *
 * @param wish Which service, which image.
 * @param swarm The swarm that has the service.
 * @returns The deployment, once the engine has accepted it.
 * @throws DeployerError `service-not-found`, `updates-not-allowed`, `unsupported-service`,
 *   `update-out-of-sequence` when the service changed under every attempt for 10 s, and whatever
 *   the {@link Swarm} throws.
 */
export async function deploy(wish: Wish, swarm: Swarm): Promise<Deployment> {
  const giveUpAt = Date.now() + KEEP_TRYING_MS
  for (let attempt = 1; ; attempt += 1) {
    const service = await findService(wish.service, swarm)
    const previous = updatableImage(service)
    const next = nextSpec(service.Spec, wish.image)
    if (next === 'unchanged' || (await write(service, next, swarm)) === 'updated') {
      const { ID, Spec } = service
      return { service: Spec.Name, serviceId: ID, image: wish.image.given, previous }
    }
    if (Date.now() >= giveUpAt) {
      throw new DeployerError(
        'update-out-of-sequence',
        `Cannot update service "${service.Spec.Name}": somebody else changed it at each of ${attempt} attempts; nothing was written, try again`,
        { retryAfterSeconds: 1 },
      )
    }
    await pause(attempt)
  }
}

/**
 * Writes the next spec. A call that fails may have been heard all the same: a leader that loses its
 * quorum answers 500 and keeps the spec, a connection can break after the request was sent. So the
 * service is looked at before a failure is called one.
 */
async function write(service: Service, next: ServiceSpec, swarm: Swarm): Promise<UpdateOutcome> {
  try {
    return await swarm.updateService(service, next)
  } catch (error) {
    const now = await swarm.inspectService(service.ID).catch(() => undefined)
    const isWritten =
      now !== undefined &&
      now.Version.Index > service.Version.Index &&
      currentImage(now.Spec) === currentImage(next)
    if (isWritten) {
      return 'updated'
    }
    throw error
  }
}

/** The engine also finds a service by a prefix of its ID, which a caller can only mean by mistake. */
async function findService(nameOrId: string, swarm: Swarm): Promise<Service> {
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

function updatableImage(service: Service): string {
  const name = service.Spec.Name
  if (!allowsUpdates(service.Spec)) {
    throw new DeployerError(
      'updates-not-allowed',
      `Cannot update service "${name}": its owner has not allowed it; run: docker service update --label-add ${ALLOW_UPDATES_LABEL}=true ${name}`,
    )
  }
  const image = currentImage(service.Spec)
  if (image === undefined) {
    throw new DeployerError(
      'unsupported-service',
      `Cannot update service "${name}": it runs a plugin or a network attachment, not a container image; choose another service`,
    )
  }
  return image
}

function pause(attempt: number): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MS, 20 * 2 ** attempt)
  return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)))
}
