// From the image that a caller wants to the one that is written: pinned to a digest, with the
// platforms that it runs on, or refused while the service is still untouched.

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
 * Whether images are resolved before they are written. `auto`: yes, but for the image of a service
 * whose credentials only the swarm has. `require`: yes, whatever. `never`: no.
 */
export type ResolveImage = 'auto' | 'require' | 'never'

/** The image that is to be written. */
export interface Resolution {
  /** The image as the spec is to spell it. */
  readonly image: string
  /** Where it runs, as a spec has it; undefined: the spec's own are kept. */
  readonly platforms?: readonly Platform[]
  /** What the nodes are to pull it with. Secret. */
  readonly registryAuth?: string
  /** What the caller should know. */
  readonly warnings: readonly string[]
}

/** What there is to resolve with. */
export interface ResolutionTools {
  readonly swarm: Swarm
  readonly resolveImage: ResolveImage
  readonly registryAuth: RegistryAuthStore
}

/**
 * Resolves an image.
 *
 * @param wanted The image, and the credentials that the caller sent, if any.
 * @param current The image that the service has now.
 * @param tools The swarm, and how to go about it.
 * @returns What is to be written.
 * @throws DeployerError `image-not-found`, `image-not-readable`, `registry-unavailable`,
 *   `internal-error` when {@link RegistryAuthStore} fails, and what every call to the {@link Swarm}
 *   throws.
 */
export async function resolveImage(
  wanted: { readonly image: ImageReference; readonly registryAuth?: string | undefined },
  current: string,
  tools: ResolutionTools,
): Promise<Resolution> {
  const { image } = wanted
  const registryAuth =
    wanted.registryAuth ?? (await readStoredAuth(tools.registryAuth, image.domain))
  const credentials = registryAuth === undefined ? {} : { registryAuth }
  if (tools.resolveImage === 'never') {
    return { image: image.given, ...credentials, warnings: [] }
  }
  const resolved = await tools.swarm
    .resolveImage(canonicalForm(image), credentials)
    .catch((error: unknown) => {
      const isOnlySwarms =
        tools.resolveImage === 'auto' &&
        registryAuth === undefined &&
        error instanceof DeployerError &&
        error.code === 'image-not-readable' &&
        isSameRepository(image, current)
      if (!isOnlySwarms) {
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
 * images), without doubles, and with no architecture for `arm`, of which nodes name the variant
 * (moby/swarmkit#2294).
 */
function swarmPlatforms({ platforms }: ResolvedImage): readonly Platform[] {
  const byText = new Map<string, Platform>()
  for (const { Architecture = '', OS = '' } of platforms) {
    if (Architecture !== 'unknown' && OS !== 'unknown') {
      const architecture = Architecture.toLowerCase() === 'arm' ? '' : Architecture
      // The engine leaves out what is empty, so the spec does not change by writing it.
      const platform = { ...(architecture === '' ? {} : { Architecture: architecture }), OS }
      byText.set(`${OS}/${architecture}`, platform)
    }
  }
  return [...byText.values()]
}

function unpinned({ given, domain }: ImageReference): string {
  return `${given} was not resolved and is not pinned to a digest: Deployer has no credentials for ${domain}; the nodes pull it with those of the service. Send X-Registry-Auth, or set REGISTRY_AUTH_FILE`
}
