// What a registry says of an image, asked through the engine.

import type { RegistryCredentials, ResolvedImage } from '../ports.ts'
import { DeployerError } from '../problem.ts'
import type { Platform } from '../swarm-types.ts'
import { distributionFault } from './distribution-fault.ts'
import { EngineRefusal, type Modem } from './modem.ts'

/** What to ask, and how long. */
export interface ImageQuestion extends RegistryCredentials {
  /** A whole image reference. */
  readonly reference: string
  /** The longest that it may take, in milliseconds. */
  readonly timeoutMs: number
}

const REFERENCE_CHARACTERS = /^[\w.:/@[\]+-]+$/
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/

/**
 * Asks.
 *
 * @param modem Reaches the engine.
 * @param question What to ask.
 * @returns Digest and platforms.
 * @throws DeployerError as {@link distributionFault} tells.
 */
export async function resolveImage(modem: Modem, question: ImageQuestion): Promise<ResolvedImage> {
  const { reference, registryAuth, timeoutMs } = question
  const path = distributionPath(reference)
  if (path === undefined) {
    throw new DeployerError(
      'invalid-image-reference',
      `Cannot resolve image "${reference}": it is no whole reference; write it as docker.io/me/blog:v1`,
    )
  }
  try {
    const image = parseDistribution(await modem.ask({ path, registryAuth, timeoutMs }))
    if (image === undefined) {
      throw new EngineRefusal(200, 'the answer tells no digest')
    }
    return image
  } catch (error) {
    throw distributionFault(error, { reference, hasCredentials: registryAuth !== undefined })
  }
}

/**
 * The path to ask at.
 *
 * @param reference A whole image reference.
 * @returns The path; undefined when the text is no reference and could lead elsewhere.
 */
export function distributionPath(reference: string): string | undefined {
  const segments = reference.split('/')
  const isSafe =
    REFERENCE_CHARACTERS.test(reference) &&
    segments.every((segment) => !['', '.', '..'].includes(segment))
  return isSafe ? `/distribution/${segments.map(encodeURIComponent).join('/')}/json` : undefined
}

/**
 * Reads the answer.
 *
 * @param answer The parsed body of a 200.
 * @returns Digest and platforms, in the answer's order; undefined when it is no such answer.
 */
export function parseDistribution(answer: unknown): ResolvedImage | undefined {
  const { Descriptor, Platforms } = members(answer)
  const { digest } = members(Descriptor)
  const platforms: unknown = Platforms ?? []
  return typeof digest === 'string' && DIGEST.test(digest) && Array.isArray(platforms)
    ? { digest, platforms: platforms.map(asPlatform) }
    : undefined
}

/** A registry spells them in lower case, the rest of the engine's API does not. */
function asPlatform(platform: unknown): Platform {
  const { architecture, os } = members(platform)
  return {
    ...(typeof architecture === 'string' ? { Architecture: architecture } : {}),
    ...(typeof os === 'string' ? { OS: os } : {}),
  }
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
