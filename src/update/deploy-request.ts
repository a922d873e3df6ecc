// A request to deploy an image to a service.

import type { Origin } from '../notification/deployment-event.ts'
import type { ImageReference } from '../swarm/image-reference.ts'

/** A request to deploy an image to a service. */
export interface DeployRequest {
  /** The service's name or full ID, percent-decoded and not validated. */
  readonly service: string
  /** The image; undefined, with `force`, for the one that the service has. */
  readonly image?: ImageReference | undefined
  /** The image that the service must have before. */
  readonly expect?: ImageReference | undefined
  /** Whether to replace the tasks even when the image stays the same. */
  readonly force: boolean
  /** Whether to continue a paused update to the same image. */
  readonly resume: boolean
  /** Credentials for the image's registry. Secret. */
  readonly registryAuth?: string | undefined
  /** A hash of the idempotency key, a dot, and one of the request. */
  readonly idempotencyFingerprint?: string | undefined
  /** The caller, and the metadata of the request. */
  readonly origin: Origin
}
