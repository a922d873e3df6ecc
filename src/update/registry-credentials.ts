// The registry credentials of an update: the engine stores them in the service's spec, and each node
// sends them to the registry of the image.

import { isSameRegistry, registryOf } from '../swarm/image-reference.ts'

/**
 * How to treat the credentials that the engine stores with a service when the new image is from another
 * registry and no credentials are known for that one. `clear`: they are removed, so that no node sends
 * them to the new registry. `keep`: they are kept, as in the Go program.
 */
export type ForeignRegistry = 'clear' | 'keep'

/** The credentials of one update. */
export interface UpdateCredentials {
  /** The value of `X-Registry-Auth`; undefined: the engine keeps the stored ones. Secret. */
  readonly registryAuth: string | undefined
  /** Warnings for the caller. */
  readonly warnings: readonly string[]
}

/** The parts of an update that its credentials depend on. */
export interface ImageChange {
  /** The image that the spec has now. */
  readonly from: string
  /** The image that is written. */
  readonly to: string
  /** The credentials for the new image's registry, if any are known. Secret. */
  readonly registryAuth: string | undefined
}

/**
 * An empty JSON object as `X-Registry-Auth` holds one. Without the header an engine keeps the stored
 * credentials (`UpdateService` in moby's daemon/cluster/services.go); with this value it stores none.
 */
const NO_CREDENTIALS = 'e30='

/**
 * Decides which credentials an update sends. The decision needs the spec that is replaced: another
 * process may have changed the image since the request arrived.
 *
 * @param change The image before and after, and the credentials for the new one.
 * @param foreignRegistry How to treat stored credentials where the registry changes.
 * @returns The credentials, and a warning where the stored ones are removed, or kept with an image of
 *   another registry.
 */
export function updateCredentials(
  { from, to, registryAuth }: ImageChange,
  foreignRegistry: ForeignRegistry,
): UpdateCredentials {
  if (registryAuth !== undefined || from === to || isSameRegistry(from, to)) {
    return { registryAuth, warnings: [] }
  }
  const change = `The image comes from ${registryOf(to)}, the one before from ${registryOf(from)}, and no credentials were given for ${registryOf(to)}`
  return foreignRegistry === 'keep'
    ? {
        registryAuth: undefined,
        warnings: [`${change}: the nodes pull with the credentials that the service has stored`],
      }
    : {
        registryAuth: NO_CREDENTIALS,
        warnings: [
          `${change}: the registry credentials that were stored with the service were cleared; to return to ${registryOf(from)}, send X-Registry-Auth or set REGISTRY_AUTH_FILE, or let the engine roll back`,
        ],
      }
}
