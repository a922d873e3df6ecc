// A registry in memory that has every image, unless a test sets it otherwise.

import { canonicalForm, parseImageReference } from '../../src/swarm/image-reference.ts'
import type { ResolvedImage } from '../../src/swarm/swarm.ts'

/** Properties of an image, or the error that resolving it ends with. */
export type FakeImage = Partial<ResolvedImage> | Error

/** The registry credentials of a call. */
export interface ShownCredentials {
  /** The call, as in `calls`. */
  readonly call: string
  readonly registryAuth: string | undefined
}

export interface FakeRegistry {
  /** The images that tests have set, by canonical reference such as `docker.io/me/app:v2`. */
  readonly images: Map<string, ResolvedImage | Error>
  /** Sets an image, by any spelling of its reference; absent properties have their defaults. */
  setImage(reference: string, image: FakeImage): void
  resolve(reference: string): ResolvedImage
}

export function createFakeRegistry(): FakeRegistry {
  const images = new Map<string, ResolvedImage | Error>()

  function find(reference: string): ResolvedImage | Error {
    const { digest, ...tagged } = parseImageReference(reference)
    const image = images.get(canonicalName(reference))
    if (image !== undefined || digest === undefined) {
      return image ?? complete(reference, {})
    }
    // A registry ignores the tag of a reference that has a digest.
    const ofTag = images.get(canonicalForm(tagged))
    const isSame = ofTag !== undefined && !(ofTag instanceof Error) && ofTag.digest === digest
    return isSame ? ofTag : complete(reference, {})
  }

  return {
    images,
    setImage: (reference, image) =>
      void images.set(
        canonicalName(reference),
        image instanceof Error ? image : complete(reference, image),
      ),
    resolve(reference) {
      const image = find(reference)
      if (image instanceof Error) {
        throw image
      }
      return image
    },
  }
}

/**
 * The default digest of an image.
 *
 * @param reference Any spelling of the image reference.
 * @returns The digest of the reference if it has one, otherwise a digest derived from its canonical
 *   form.
 */
export function digestOf(reference: string): string {
  const { digest } = parseImageReference(reference)
  return digest ?? `sha256:${hexOf(canonicalName(reference))}`
}

function complete(reference: string, image: Partial<ResolvedImage>): ResolvedImage {
  const platforms = [{ Architecture: 'amd64', OS: 'linux' }]
  return { digest: digestOf(reference), platforms, ...image }
}

function canonicalName(reference: string): string {
  return canonicalForm(parseImageReference(reference))
}

/**
 * Sixty-four hexadecimal digits: eight rounds of FNV-1a, which needs no `crypto` and no `await`.
 */
function hexOf(text: string): string {
  return Array.from({ length: 8 }, (_, round) =>
    fnv1a(`${round} ${text} ${round}`).toString(16).padStart(8, '0'),
  ).join('')
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  return hash >>> 0
}
