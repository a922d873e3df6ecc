// What a caller wants of a service.

import type { Origin } from '../notification/deployment-event.ts'
import type { ImageReference } from '../swarm/image-reference.ts'

/** What a caller wants: that a service runs an image. */
export interface DeployRequest {
  /** The service's name or full ID, percent-decoded, not yet checked. */
  readonly service: string
  /** The image, parsed at the edge; undefined: the one that the service has, by force. */
  readonly image?: ImageReference | undefined
  /** What the service must run so far. */
  readonly expect?: ImageReference | undefined
  /** Whether to replace the tasks even when the image stays. */
  readonly force: boolean
  /** Whether to go on with a paused update to the same image. */
  readonly resume: boolean
  /** Credentials for the image's registry. Secret. */
  readonly registryAuth?: string | undefined
  /** A hash of the idempotency key, a dot, and one of the request. */
  readonly idempotencyFingerprint?: string | undefined
  /** Who wants it, and what they sent along. */
  readonly origin: Origin
}
