// Maps an error of `GET /distribution` to a `DeployerError`: the registry, the credentials, the
// reference or the engine may be the cause. The rules cover Docker Engine 20.10 to 29 and common
// registries.

import { DeployerError, type ProblemCode } from '../../errors.ts'
import { engineError, UNSUPPORTED_REFERENCE } from './engine-error.ts'
import { EngineHttpError } from './engine-http-error.ts'
import { ConnectionLostError, TimeoutError } from './round-trip.ts'

/** The image that was requested. */
export interface DistributionRequest {
  readonly reference: string
  readonly hasCredentials: boolean
}

interface ErrorRule {
  readonly statuses?: RegExp
  readonly pattern?: RegExp
  /** Undefined if the error is not about the registry; {@link engineError} maps it. */
  readonly code?: ProblemCode
  /** Default: advice about access to the image. */
  readonly remedy?: string
  readonly retryAfterSeconds?: number
}

const RETRY_SECONDS = 5
const ABSENT = 'the registry does not have it; push it first, or check name and tag'
const REFUSED =
  'its registry refuses to serve it, and a repeated request would be refused again; check name and tag'
const UNAVAILABLE =
  'its registry cannot be reached from the engine, or does not answer as a registry does; try again later'
const RATE_LIMITED = 'its registry limits the number of requests; try again later'

/** The first rule that matches applies. */
const ERROR_RULES: readonly ErrorRule[] = [
  // A proxy in front of the engine that blocks the call, or an engine that does not have it.
  {
    pattern: /^\s*<|^(?:404 )?page not found/,
    code: 'engine-error',
    remedy:
      'the Docker Engine, or a proxy in front of it, does not offer GET /distribution; allow it there',
  },
  // Errors of the engine, not of the registry.
  { statuses: /^503$/, pattern: /^Swarm is encrypted and needs|^This node is not a swarm manager/ },
  {
    statuses: /^400$/,
    pattern: /invalid reference format/,
    code: 'invalid-image-reference',
    remedy: UNSUPPORTED_REFERENCE,
  },
  {
    statuses: /^404$/,
    code: 'image-not-found',
    remedy: ABSENT,
  },
  // These contain a host name, which may contain any of the words below.
  {
    pattern:
      /dial tcp|no such host|connection refused|x509|i\/o timeout|Client\.Timeout|deadline exceeded|TLS handshake|server gave HTTP response/,
    code: 'registry-unavailable',
    remedy: UNAVAILABLE,
    retryAfterSeconds: RETRY_SECONDS,
  },
  {
    statuses: /^429$/,
    code: 'registry-unavailable',
    remedy: RATE_LIMITED,
    retryAfterSeconds: 30,
  },
  {
    pattern: /toomanyrequests|too many requests|rate limit|HTTP 429 response/i,
    code: 'registry-unavailable',
    remedy: RATE_LIMITED,
    retryAfterSeconds: 30,
  },
  {
    // Harbor's code NOT_FOUND, which the engine does not know.
    pattern: /HTTP 404 response|^unknown: .* not found$/,
    code: 'image-not-found',
    remedy: ABSENT,
  },
  {
    pattern: /HTTP (?:400|402|410|451) response|unexpected HTTP status: (?:400|402|410|451)\b/,
    code: 'image-not-readable',
    remedy: REFUSED,
  },
  { statuses: /^40[13]$/, code: 'image-not-readable' },
  {
    pattern:
      /no basic auth credentials|unauthorized|authentication required|(?<!permission )denied|insufficient_scope|authorization failed|HTTP 40[13] response/i,
    code: 'image-not-readable',
  },
  // The engine derives these statuses from the registry's error code, such as NAME_INVALID.
  { statuses: /^40[05]$/, code: 'image-not-readable', remedy: REFUSED },
  {
    // A 4xx of the registry with an error code that the engine does not know; a 5xx has another
    // text.
    pattern: /^(?:errors:\s+)?unknown: /,
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
 * Creates the error that callers see for a failed `GET /distribution`. It does not contain the
 * engine's message, because that quotes responses of registries and other servers in the manager's
 * network, and the caller chose the host. The message is in the cause, for the log.
 *
 * @param error The error of the call; it becomes the cause.
 * @param request The image that was requested.
 * @returns DeployerError `image-not-found`, `image-not-readable`, `registry-unavailable` or
 *   `invalid-image-reference`, or what {@link engineError} returns.
 */
export function distributionError(error: unknown, request: DistributionRequest): DeployerError {
  const action = `resolve image "${request.reference}"`
  if (error instanceof EngineHttpError) {
    return mapHttpError(error, action, request)
  }
  if (error instanceof ConnectionLostError && error.cause instanceof TimeoutError) {
    return new DeployerError(
      'registry-unavailable',
      `Cannot ${action}: ${error.message} from its registry; try again later`,
      { cause: error, retryAfterSeconds: RETRY_SECONDS },
    )
  }
  return engineError(error, action)
}

function mapHttpError(
  error: EngineHttpError,
  action: string,
  { hasCredentials }: DistributionRequest,
): DeployerError {
  const { statusCode, message, isEngineMessage } = error
  if (!isEngineMessage) {
    // An error of a proxy is not about the image; as `image-not-readable` it would make `auto`
    // deploy unpinned.
    return engineError(error, action)
  }
  // URLs and bodies may contain any word. The engine quotes them in the format of Go's %q.
  const unquoted = message.replace(/"(?:[^"\\]|\\.)*"/g, '""')
  const rule = ERROR_RULES.find(
    ({ statuses, pattern }) =>
      (statuses?.test(String(statusCode)) ?? true) && (pattern?.test(unquoted) ?? true),
  )
  if (rule === undefined) {
    const text = `Cannot ${action}: the Docker Engine answered ${statusCode}; Deployer logs its message`
    return new DeployerError('engine-error', text, { cause: error })
  }
  const { code, remedy, retryAfterSeconds } = rule
  if (code === undefined) {
    return engineError(error, action)
  }
  const advice = remedy ?? accessRemedy(hasCredentials)
  return new DeployerError(code, `Cannot ${action}: ${advice}`, {
    cause: error,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}

/** Without access to an image, a registry does not reveal whether it exists. */
function accessRemedy(hasCredentials: boolean): string {
  return hasCredentials
    ? 'it is absent or private, and the registry refused the credentials that Deployer has for it; check name, tag and credentials'
    : 'it is absent or private, and Deployer has no credentials for its registry; check name and tag, or give Deployer credentials'
}
