// Resolves the requested image to the one that is written: pinned to a digest, with its platforms. An
// image that cannot be deployed is rejected before the service is changed.

import { DeployerError } from '../errors.ts'
import type { Platform } from '../swarm/engine-types.ts'
import {
  canonicalForm,
  type ImageReference,
  isSameRepository,
  pinnedForm,
} from '../swarm/image-reference.ts'
import { checkPlatforms } from '../swarm/platforms.ts'
import type { ResolvedImage, Swarm } from '../swarm/swarm.ts'
import { type RegistryAuthStore, readStoredAuth } from './registry-auth-store.ts'

/**
 * Whether images are resolved before they are written. `auto`: yes, except where only the swarm has the
 * credentials for the service's image. `require`: always. `never`: not at all.
 */
export type ResolveImage = 'auto' | 'require' | 'never'

/** A resolved image. */
export interface Resolution {
  /** The image as it is written into the spec. */
  readonly image: string
  /** Its platforms, as a spec has them; undefined: those of the spec are kept. */
  readonly platforms?: readonly Platform[]
  /** The credentials that nodes pull it with. Secret. */
  readonly registryAuth?: string
  /** Warnings for the caller. */
  readonly warnings: readonly string[]
}

/** The dependencies of {@link resolveImage}. */
export interface ResolutionTools {
  readonly swarm: Swarm
  readonly resolveImage: ResolveImage
  readonly registryAuth: RegistryAuthStore
}

/**
 * Resolves an image.
 *
 * @param requested The image, and the credentials that the caller sent, if any.
 * @param current The image that the service has now.
 * @param tools The swarm, the stored credentials, and whether to resolve.
 * @returns The image to write.
 * @throws DeployerError `image-not-found`, `image-not-readable`, `registry-unavailable`,
 *   `internal-error` when {@link RegistryAuthStore} fails, and what every call to the {@link Swarm}
 *   throws.
 */
export async function resolveImage(
  requested: { readonly image: ImageReference; readonly registryAuth?: string | undefined },
  current: string,
  tools: ResolutionTools,
): Promise<Resolution> {
  const { image } = requested
  const registryAuth =
    requested.registryAuth ?? (await readStoredAuth(tools.registryAuth, image.domain))
  const credentials = registryAuth === undefined ? {} : { registryAuth }
  if (tools.resolveImage === 'never') {
    return { image: image.given, ...credentials, warnings: [] }
  }
  const resolved = await tools.swarm
    .resolveImage(canonicalForm(image), credentials)
    .catch((error: unknown) => {
      const onlySwarmHasCredentials =
        tools.resolveImage === 'auto' &&
        registryAuth === undefined &&
        error instanceof DeployerError &&
        error.code === 'image-not-readable' &&
        isSameRepository(image, current)
      if (!onlySwarmHasCredentials) {
        throw error
      }
    })
  if (resolved === undefined) {
    return { image: image.given, warnings: [unpinned(image)] }
  }
  const platforms = swarmPlatforms(resolved)
  checkPlatforms(image.given, platforms)
  return {
    image: pinnedForm(image, resolved.digest),
    ...(platforms.length === 0 ? {} : { platforms }),
    ...credentials,
    warnings: [],
  }
}

/**
 * Writes platforms as Docker's CLI up to 28 did: without those that are `unknown` (attestations, not
 * images), without duplicates, and without an architecture for `arm`, for which nodes report the variant
 * (moby/swarmkit#2294).
 */
function swarmPlatforms({ platforms }: ResolvedImage): readonly Platform[] {
  const byText = new Map<string, Platform>()
  for (const { Architecture = '', OS = '' } of platforms) {
    if (Architecture !== 'unknown' && OS !== 'unknown') {
      const architecture = Architecture.toLowerCase() === 'arm' ? '' : Architecture
      // The engine omits empty values, so an empty one would differ from the stored spec.
      const platform = { ...(architecture === '' ? {} : { Architecture: architecture }), OS }
      byText.set(`${OS}/${architecture}`, platform)
    }
  }
  return [...byText.values()]
}

function unpinned({ given, domain }: ImageReference): string {
  return `${given} was not resolved and is not pinned to a digest: Deployer has no credentials for ${domain}; the nodes pull it with those of the service. Send X-Registry-Auth, or set REGISTRY_AUTH_FILE`
}
