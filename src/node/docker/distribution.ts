// Resolves an image reference to a digest and platforms: the engine asks the image's registry.

import { singleFlight } from '../../async/single-flight.ts'
import { DeployerError } from '../../errors.ts'
import type { Platform } from '../../swarm/engine-types.ts'
import type { RegistryCredentials, ResolvedImage } from '../../swarm/swarm.ts'
import { createCallPool, createKeyedCallPools, PoolFullError } from './call-pool.ts'
import { distributionError } from './distribution-error.ts'
import { EngineHttpError } from './engine-http-error.ts'
import type { Modem } from './modem.ts'
import { TimeoutError } from './round-trip.ts'

interface ImageRequest extends RegistryCredentials {
  /** A complete image reference, with registry host and tag or digest. */
  readonly reference: string
  readonly timeoutMs: number
}

const REFERENCE_CHARACTERS = /^[\w.:/@[\]+-]+$/
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/

/** Resolves images; see `Swarm.resolveImage`. */
export type ImageResolver = (
  reference: string,
  credentials?: RegistryCredentials,
) => Promise<ResolvedImage>

// An engine waits 25 to 40 s for a registry that does not respond.
const MAX_CALL_MS = 12_000
const MAX_TOTAL_MS = 20_000
// Enough for 50 callers who deploy 50 images of one registry at the same time.
const MAX_WAITING = 128
const MAX_WAIT_MS = 5000
const RETRY_AFTER_SECONDS = 5

/**
 * Creates an image resolver. A registry that does not respond occupies a connection to the engine
 * for a long time, so these requests have a connection pool of their own. 128 more requests wait
 * for at most 5 s; the requests for one registry get half of both limits. Callers that resolve the
 * same reference with the same credentials share the next request, never the one in flight, which
 * may have started before the image was pushed.
 *
 * @param modem Connects to the engine.
 * @param options The timeout of engine calls, in milliseconds. These requests take at most 12 s,
 *   and a caller waits for at most 20 s in total.
 * @returns The resolver. It throws what {@link distributionError} returns, and DeployerError
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
  const registryPools = createKeyedCallPools({
    maxRunning: Math.ceil(modem.registryConnections / 2),
    maxWaiting: MAX_WAITING / 2,
    maxWaitMs: MAX_WAIT_MS,
  })
  const lookups = new Map<string, Lookup>()

  function lookupFor(key: string, image: ImageRequest): Lookup {
    const existing = lookups.get(key)
    if (existing !== undefined) {
      return existing
    }
    const start = singleFlight(() =>
      registryPools
        .run(registryOf(image.reference), () => pool.run(() => resolveImage(modem, image)))
        .catch((error: unknown) => {
          throw error instanceof PoolFullError ? overloaded(image.reference, error) : error
        }),
    )
    const lookup = { start, callers: 0 }
    lookups.set(key, lookup)
    return lookup
  }

  return async (reference, { registryAuth } = {}) => {
    const key = JSON.stringify([reference, registryAuth])
    const lookup = lookupFor(key, { reference, registryAuth, timeoutMs })
    lookup.callers += 1
    try {
      const timeoutError = (): DeployerError =>
        overloaded(reference, new TimeoutError(MAX_TOTAL_MS))
      return await withTimeout(lookup.start(), { timeoutMs: MAX_TOTAL_MS, timeoutError })
    } finally {
      lookup.callers -= 1
      if (lookup.callers === 0) {
        lookups.delete(key)
      }
    }
  }
}

interface Lookup {
  readonly start: () => Promise<ResolvedImage>
  callers: number
}

function withTimeout<T>(
  work: Promise<T>,
  { timeoutMs, timeoutError }: { readonly timeoutMs: number; readonly timeoutError: () => Error },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(timeoutError()), timeoutMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function overloaded(reference: string, cause: Error): DeployerError {
  return new DeployerError(
    'overloaded',
    `Cannot resolve image "${reference}": too many images are being resolved, and a registry is slow; try again later`,
    { cause, retryAfterSeconds: RETRY_AFTER_SECONDS },
  )
}

/** The registry host of a complete reference. */
function registryOf(reference: string): string {
  return reference.split('/', 1)[0] ?? ''
}

/** @throws DeployerError as {@link distributionError} returns it. */
async function resolveImage(modem: Modem, image: ImageRequest): Promise<ResolvedImage> {
  const { reference, registryAuth, timeoutMs } = image
  const path = distributionPath(reference)
  if (path === undefined) {
    throw new DeployerError(
      'invalid-image-reference',
      `Cannot resolve image "${reference}": it is not a complete reference; write it as docker.io/me/blog:v1`,
    )
  }
  try {
    const resolved = parseDistribution(
      await modem.request({ path, registryAuth, timeoutMs, pool: 'registry' }),
    )
    if (resolved === undefined) {
      throw new EngineHttpError(200, 'the response contains no digest')
    }
    return resolved
  } catch (error) {
    throw distributionError(error, { reference, hasCredentials: registryAuth !== undefined })
  }
}

/**
 * Builds the path of `GET /distribution` for an image.
 *
 * @param reference A complete image reference.
 * @returns The path; undefined if the text is not a reference and could address another resource.
 */
export function distributionPath(reference: string): string | undefined {
  const segments = reference.split('/')
  const isSafe =
    REFERENCE_CHARACTERS.test(reference) &&
    segments.every((segment) => !['', '.', '..'].includes(segment))
  return isSafe ? `/distribution/${segments.map(encodeURIComponent).join('/')}/json` : undefined
}

/**
 * Reads the body of `GET /distribution`.
 *
 * @param body The parsed body of a 200.
 * @returns Digest and platforms in the same order; undefined if the body has another form.
 */
export function parseDistribution(body: unknown): ResolvedImage | undefined {
  const { Descriptor, Platforms } = members(body)
  const { digest } = members(Descriptor)
  const platforms: unknown = Platforms ?? []
  return typeof digest === 'string' && DIGEST.test(digest) && Array.isArray(platforms)
    ? { digest, platforms: platforms.map(toPlatform) }
    : undefined
}

/** Converts the registry's lower-case names to those of the rest of the engine's API. */
function toPlatform(platform: unknown): Platform {
  const { architecture, os } = members(platform)
  return {
    ...(typeof architecture === 'string' ? { Architecture: architecture } : {}),
    ...(typeof os === 'string' ? { OS: os } : {}),
  }
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
