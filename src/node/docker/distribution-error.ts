// What it means when the engine could not tell of an image: a fault of the registry, of the
// credentials, of the reference or of the engine. The cases are those of Docker Engine 20.10 to 29
// and of the registries behind it.

import { DeployerError, type ProblemCode } from '../../errors.ts'
import { engineError, UNKNOWN_TO_THIS_ENGINE } from './engine-error.ts'
import { EngineHttpError } from './modem.ts'
import { ConnectionLostError, TimeoutError } from './round-trip.ts'

/** What was asked for, and how. */
export interface DistributionRequest {
  readonly reference: string
  readonly hasCredentials: boolean
}

interface Meaning {
  readonly statuses?: RegExp
  readonly words?: RegExp
  /** Undefined: not the registry's; {@link engineError} reads it. */
  readonly code?: ProblemCode
  readonly remedy?: string
  readonly retryAfterSeconds?: number
}

const RETRY_SECONDS = 5
const ABSENT = 'the registry does not have it; push it first, or check name and tag'
const REFUSED = 'its registry refuses to serve it, and will again; check name and tag'
const UNAVAILABLE =
  'its registry cannot be reached from the engine, or does not answer as a registry does; try again later'

/** The first that fits, counts. */
const MEANINGS: readonly Meaning[] = [
  // A proxy in front of the engine that lets no such call through, or an engine without it.
  {
    words: /^\s*<|^(?:404 )?page not found/,
    code: 'engine-error',
    remedy:
      'the Docker Engine, or a proxy before it, does not offer GET /distribution; allow it there',
  },
  // These are about the engine, not about the registry.
  { statuses: /^503$/, words: /^Swarm is encrypted and needs|^This node is not a swarm manager/ },
  {
    statuses: /^400$/,
    words: /invalid reference format/,
    code: 'invalid-image-reference',
    remedy: UNKNOWN_TO_THIS_ENGINE,
  },
  {
    statuses: /^404$/,
    code: 'image-not-found',
    remedy: ABSENT,
  },
  // These name a host, which may be called like any of the words below.
  {
    words:
      /dial tcp|no such host|connection refused|x509|i\/o timeout|Client\.Timeout|deadline exceeded|TLS handshake|server gave HTTP response/,
    code: 'registry-unavailable',
    remedy: UNAVAILABLE,
    retryAfterSeconds: RETRY_SECONDS,
  },
  {
    statuses: /^429$/,
    code: 'registry-unavailable',
    remedy: 'its registry wants fewer requests; try again later',
    retryAfterSeconds: 30,
  },
  {
    words: /toomanyrequests|too many requests|rate limit|HTTP 429 response/i,
    code: 'registry-unavailable',
    remedy: 'its registry wants fewer requests; try again later',
    retryAfterSeconds: 30,
  },
  {
    // Harbor's code NOT_FOUND is none that the engine knows.
    words: /HTTP 404 response|^unknown: .* not found$/,
    code: 'image-not-found',
    remedy: ABSENT,
  },
  {
    words: /HTTP (?:400|402|410|451) response|unexpected HTTP status: (?:400|402|410|451)\b/,
    code: 'image-not-readable',
    remedy: REFUSED,
  },
  { statuses: /^40[13]$/, code: 'image-not-readable' },
  {
    words:
      /no basic auth credentials|unauthorized|authentication required|(?<!permission )denied|insufficient_scope|authorization failed|HTTP 40[13] response/i,
    code: 'image-not-readable',
  },
  // The engine derives these statuses from the registry's error code, such as NAME_INVALID.
  { statuses: /^40[05]$/, code: 'image-not-readable', remedy: REFUSED },
  {
    // A 4xx of the registry whose error code the engine does not know; a 5xx has another text.
    words: /^(?:errors:\s+)?unknown: /,
    code: 'image-not-readable',
    remedy: REFUSED,
  },
  {
    statuses: /^5\d\d$/,
    code: 'registry-unavailable',
    remedy: UNAVAILABLE,
    retryAfterSeconds: RETRY_SECONDS,
  },
]

/**
 * Turns whatever a `GET /distribution` threw into the error that callers are shown.
 *
 * @param error What was thrown.
 * @param request What was asked for.
 * @returns A DeployerError without the engine's words, which hold what registries and other servers of
 *   the manager's network answered to a name that the caller chose. It keeps the cause, for the log: `image-not-found`, `image-not-readable`,
 *   `registry-unavailable`, or what {@link engineError} makes of it.
 */
export function distributionError(error: unknown, request: DistributionRequest): DeployerError {
  const action = `resolve image "${request.reference}"`
  if (error instanceof EngineHttpError) {
    return refusalFault(error, action, request)
  }
  if (error instanceof ConnectionLostError && error.cause instanceof TimeoutError) {
    return new DeployerError(
      'registry-unavailable',
      `Cannot ${action}: the engine had ${error.message} from its registry; try again later`,
      { cause: error, retryAfterSeconds: RETRY_SECONDS },
    )
  }
  return engineError(error, action)
}

function refusalFault(
  refusal: EngineHttpError,
  action: string,
  { hasCredentials }: DistributionRequest,
): DeployerError {
  const { statusCode, message, isEngineMessage } = refusal
  if (!isEngineMessage) {
    // A proxy that forbids the call says nothing about the image, which `auto` would deploy unpinned.
    return engineError(refusal, action)
  }
  // URLs and bodies may hold any word. The engine quotes them as Go's %q does.
  const unquoted = message.replace(/"(?:[^"\\]|\\.)*"/g, '""')
  const meaning = MEANINGS.find(
    ({ statuses, words }) =>
      (statuses?.test(String(statusCode)) ?? true) && (words?.test(unquoted) ?? true),
  )
  if (meaning === undefined) {
    const text = `Cannot ${action}: the Docker Engine answered ${statusCode} when it was asked for it; the log of Deployer has its words`
    return new DeployerError('engine-error', text, { cause: refusal })
  }
  const { code, remedy, retryAfterSeconds } = meaning
  if (code === undefined) {
    return engineError(refusal, action)
  }
  const advice = remedy ?? accessRemedy(hasCredentials)
  return new DeployerError(code, `Cannot ${action}: ${advice}`, {
    cause: refusal,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}

/** A registry does not tell those who may not read an image whether it is there. */
function accessRemedy(hasCredentials: boolean): string {
  return hasCredentials
    ? 'it is absent or private, and the registry refused the credentials that Deployer has for it; check name, tag and credentials'
    : 'it is absent or private, and Deployer has no credentials for its registry; check name and tag, or give Deployer credentials'
}
