// What a registry says of an image, asked through the engine.

import { singleFlight } from '../../async/single-flight.ts'
import { DeployerError } from '../../errors.ts'
import type { Platform } from '../../swarm/engine-types.ts'
import type { RegistryCredentials, ResolvedImage } from '../../swarm/swarm.ts'
import { createCallPool, createKeyedCallPools, PoolFullError } from './call-pool.ts'
import { distributionError } from './distribution-error.ts'
import { EngineHttpError, type Modem } from './modem.ts'
import { TimeoutError } from './round-trip.ts'

/** What to ask, and how long. */
interface ImageQuestion extends RegistryCredentials {
  /** A whole image reference. */
  readonly reference: string
  /** The longest that it may take, in milliseconds. */
  readonly timeoutMs: number
}

const REFERENCE_CHARACTERS = /^[\w.:/@[\]+-]+$/
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/

/** Resolves images; see `Swarm.resolveImage`. */
export type ImageResolver = (
  reference: string,
  credentials?: RegistryCredentials,
) => Promise<ResolvedImage>

// An engine waits 25 to 40 s for a registry that is silent.
const MAX_CALL_MS = 12_000
const MAX_TOTAL_MS = 20_000
// 50 callers who deploy 50 images of one registry at once are all served within the 5 s.
const MAX_WAITING = 128
const MAX_WAIT_MS = 5000
const RETRY_AFTER_SECONDS = 5

/**
 * Creates an image resolver. An unresponsive registry occupies a connection of the engine for long, so
 * these calls have connections of their own. 128 more calls wait for at most 5 s; one registry gets
 * half of both limits. Callers that resolve the same reference with the same credentials share the
 * next answer, never the one in flight, which may be from before the image was pushed.
 *
 * @param modem Reaches the engine.
 * @param options The longest that any call of the engine may take, in milliseconds. These take 12 s at
 *   most, and a caller waits 20 s in all at most.
 * @returns The resolver. Besides what {@link distributionError} tells, it throws DeployerError
 *   `overloaded`.
 */
export function createImageResolver(
  modem: Modem,
  options: { readonly timeoutMs: number },
): ImageResolver {
  const timeoutMs = Math.min(options.timeoutMs, MAX_CALL_MS)
  const pool = createCallPool({
    maxRunning: modem.registryConnections,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  })
  const hosts = createKeyedCallPools({
    maxRunning: Math.ceil(modem.registryConnections / 2),
    maxWaiting: MAX_WAITING / 2,
    maxWaitMs: MAX_WAIT_MS,
  })
  const questions = new Map<string, Question>()

  function questionOf(key: string, image: ImageQuestion): Question {
    const known = questions.get(key)
    if (known !== undefined) {
      return known
    }
    const ask = singleFlight(() =>
      hosts
        .run(registryOf(image.reference), () => pool.run(() => resolveImage(modem, image)))
        .catch((error: unknown) => {
          throw error instanceof PoolFullError ? overloaded(image.reference, error) : error
        }),
    )
    const question = { ask, callers: 0 }
    questions.set(key, question)
    return question
  }

  return async (reference, { registryAuth } = {}) => {
    const key = JSON.stringify([reference, registryAuth])
    const question = questionOf(key, { reference, registryAuth, timeoutMs })
    question.callers += 1
    try {
      const late = (): DeployerError =>
        overloaded(reference, new TimeoutError(MAX_TOTAL_MS, 'turn'))
      return await withinTime(question.ask(), { timeoutMs: MAX_TOTAL_MS, late })
    } finally {
      question.callers -= 1
      if (question.callers === 0) {
        questions.delete(key)
      }
    }
  }
}

interface Question {
  readonly ask: () => Promise<ResolvedImage>
  callers: number
}

function withinTime<T>(
  work: Promise<T>,
  { timeoutMs, late }: { readonly timeoutMs: number; readonly late: () => Error },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), timeoutMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function overloaded(reference: string, cause: Error): DeployerError {
  return new DeployerError(
    'overloaded',
    `Cannot resolve image "${reference}": too many images are being looked up in their registries, and some registry is slow; try again later`,
    { cause, retryAfterSeconds: RETRY_AFTER_SECONDS },
  )
}

/** The host of a whole reference. */
function registryOf(reference: string): string {
  return reference.split('/', 1)[0] ?? ''
}

/** @throws DeployerError as {@link distributionError} tells. */
async function resolveImage(modem: Modem, question: ImageQuestion): Promise<ResolvedImage> {
  const { reference, registryAuth, timeoutMs } = question
  const path = distributionPath(reference)
  if (path === undefined) {
    throw new DeployerError(
      'invalid-image-reference',
      `Cannot resolve image "${reference}": it is no whole reference; write it as docker.io/me/blog:v1`,
    )
  }
  try {
    const image = parseDistribution(
      await modem.ask({ path, registryAuth, timeoutMs, pool: 'registry' }),
    )
    if (image === undefined) {
      throw new EngineHttpError(200, 'the answer tells no digest')
    }
    return image
  } catch (error) {
    throw distributionError(error, { reference, hasCredentials: registryAuth !== undefined })
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
