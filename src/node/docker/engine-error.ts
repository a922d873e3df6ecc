// Maps an error of an engine call to a `DeployerError`. The rules cover Docker Engine 20.10 to 29.

import { DeployerError, type ProblemCode } from '../../errors.ts'
import { errorMessage } from '../../text/error-message.ts'
import { EngineHttpError } from './engine-http-error.ts'

/** Deployer accepts what the newest engines accept. */
export const UNSUPPORTED_REFERENCE =
  'this version of Docker Engine does not support the image reference, though newer versions may: write the host of the registry in lower case and without an IPv6 address'

interface ErrorRule {
  readonly statusCode: number
  readonly pattern: RegExp
  readonly code: ProblemCode
  readonly remedy: string
  readonly retryAfterSeconds?: number
}

const ERROR_RULES: readonly ErrorRule[] = [
  {
    statusCode: 400,
    pattern: /is not a valid repository\/tag|invalid reference format/,
    code: 'invalid-image-reference',
    remedy: UNSUPPORTED_REFERENCE,
  },
  {
    statusCode: 404,
    pattern: /^service \S+ not found/,
    code: 'service-not-found',
    remedy: 'give the full name or ID that "docker service ls" shows',
  },
  {
    statusCode: 400,
    pattern: /^service \S+ is ambiguous/,
    code: 'service-not-found',
    remedy: 'give the full name or ID that "docker service ls" shows',
  },
  {
    statusCode: 503,
    pattern: /encrypted and needs to be unlocked/,
    code: 'swarm-locked',
    remedy: 'run "docker swarm unlock" on that manager',
  },
  {
    statusCode: 503,
    pattern: /not a swarm manager/,
    code: 'not-a-manager',
    remedy: 'set DOCKER_HOST to a swarm manager, or place Deployer on one (node.role == manager)',
  },
  {
    statusCode: 500,
    pattern: /does not have a leader|lost leader status|DeadlineExceeded|context deadline exceeded/,
    code: 'no-quorum',
    remedy: 'wait until a majority of the managers is reachable again',
    retryAfterSeconds: 15,
  },
]

/**
 * Tests whether the engine refused an update because the service has changed since it was
 * inspected.
 *
 * @param error The error of the call.
 * @returns True for HTTP 500 `update out of sequence`: the engine has written nothing.
 */
export function isOutOfSequence(error: unknown): boolean {
  return error instanceof EngineHttpError && error.message.includes('update out of sequence')
}

/**
 * Creates the error that callers see for a failed engine call.
 *
 * @param error The error of the call; it becomes the cause.
 * @param action The attempted action, such as `inspect service "blog"`.
 * @returns DeployerError `invalid-image-reference`, `service-not-found`, `swarm-locked`,
 *   `not-a-manager`, `no-quorum` or `engine-error`; `engine-unreachable` if there was no response.
 */
export function engineError(error: unknown, action: string): DeployerError {
  if (error instanceof EngineHttpError) {
    return mapHttpError(error, action)
  }
  const reason = errorMessage(error)
  return new DeployerError(
    'engine-unreachable',
    `Cannot ${action}: the Docker Engine cannot be reached (${reason}); check that it is running and that DOCKER_HOST is correct`,
    { cause: error, retryAfterSeconds: 5 },
  )
}

/** The text of a proxy or another server is left out: it may contain host names and versions. */
function describe({ statusCode, message, isEngineMessage }: EngineHttpError): string {
  return isEngineMessage
    ? `the Docker Engine answered ${statusCode}: ${message || '(no message)'}`
    : `DOCKER_HOST answered ${statusCode}, but not as a Docker Engine does; check that it is a Docker Engine, and that a proxy in front of it allows this call (Deployer logs the response)`
}

function mapHttpError(error: EngineHttpError, action: string): DeployerError {
  const { statusCode, message, isEngineMessage } = error
  const rule = ERROR_RULES.find(
    (candidate) =>
      isEngineMessage && candidate.statusCode === statusCode && candidate.pattern.test(message),
  )
  if (rule === undefined) {
    return new DeployerError('engine-error', `Cannot ${action}: ${describe(error)}`, {
      cause: error,
    })
  }
  const { code, remedy, retryAfterSeconds } = rule
  return new DeployerError(code, `Cannot ${action}: ${remedy} (the engine answered: ${message})`, {
    cause: error,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}
