// The registry credentials of an update: the engine stores them in the service's spec, and each node
// shows them to whatever registry the image names.

import { isSameRegistry, registryOf } from '../swarm/image-reference.ts'

/**
 * What becomes of the credentials that the engine stores with a service when its image comes from
 * another registry than before and no credentials are known for that one. `clear`: they are removed,
 * so that no node sends them to the new registry. `keep`: they stay, as the Go program leaves them.
 */
export type ForeignRegistry = 'clear' | 'keep'

/** The credentials of one update. */
export interface UpdateCredentials {
  /** The value of `X-Registry-Auth`; undefined: the engine keeps what it has stored. Secret. */
  readonly registryAuth: string | undefined
  /** What the caller should know. */
  readonly warnings: readonly string[]
}

/** An update as far as its credentials depend on it. */
export interface ImageChange {
  /** The image that the spec names now. */
  readonly from: string
  /** The image that it is to name. */
  readonly to: string
  /** The credentials for the new image's registry, if any are known. Secret. */
  readonly registryAuth: string | undefined
}

/**
 * An empty JSON object as `X-Registry-Auth` holds one. Without the header an engine keeps the stored
 * credentials (`UpdateService` in moby's daemon/cluster/services.go); with this one it stores none.
 */
const NO_CREDENTIALS = 'e30='

/**
 * Decides which credentials an update sends. It has to be decided on the very spec that is replaced:
 * another process may have changed the image since the request came in.
 *
 * @param change The image before and after, and the credentials for the new one.
 * @param foreignRegistry What to do where the registry changes and there are no credentials.
 * @returns The credentials, and a warning where the stored ones are removed or stay with an image of
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
