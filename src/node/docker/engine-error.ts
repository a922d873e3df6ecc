// What an engine's refusal means: the engine's words to one of Deployer's codes. The cases are
// those of Docker Engine 20.10 to 29.

import { DeployerError, type ProblemCode } from '../../errors.ts'
import { errorMessage } from '../../text/error-message.ts'
import { EngineHttpError } from './modem.ts'

/** Deployer reads references by the grammar of the newest engines. */
export const UNKNOWN_TO_THIS_ENGINE =
  'this Docker Engine does not take the image reference, though newer ones may: write the host of the registry in lower case and without an IPv6 address'

interface Meaning {
  readonly statusCode: number
  readonly words: RegExp
  readonly code: ProblemCode
  readonly remedy: string
  readonly retryAfterSeconds?: number
}

const MEANINGS: readonly Meaning[] = [
  {
    statusCode: 400,
    words: /is not a valid repository\/tag|invalid reference format/,
    code: 'invalid-image-reference',
    remedy: UNKNOWN_TO_THIS_ENGINE,
  },
  {
    statusCode: 404,
    words: /^service \S+ not found/,
    code: 'service-not-found',
    remedy: 'give the full name or ID that "docker service ls" shows',
  },
  {
    statusCode: 400,
    words: /^service \S+ is ambiguous/,
    code: 'service-not-found',
    remedy: 'give the full name or ID that "docker service ls" shows',
  },
  {
    statusCode: 503,
    words: /encrypted and needs to be unlocked/,
    code: 'swarm-locked',
    remedy: 'run "docker swarm unlock" on that manager',
  },
  {
    statusCode: 503,
    words: /not a swarm manager/,
    code: 'not-a-manager',
    remedy: 'set DOCKER_HOST to a swarm manager, or place Deployer on one (node.role == manager)',
  },
  {
    statusCode: 500,
    words: /does not have a leader|lost leader status|DeadlineExceeded|context deadline exceeded/,
    code: 'no-quorum',
    remedy: 'wait until a majority of the managers is back',
    retryAfterSeconds: 15,
  },
]

/**
 * Whether the engine refused an update because the service has changed since it was inspected.
 *
 * @param error Whatever the call threw.
 * @returns True for HTTP 500 `update out of sequence`; nothing was written then.
 */
export function isOutOfSequence(error: unknown): boolean {
  return error instanceof EngineHttpError && error.message.includes('update out of sequence')
}

/**
 * Turns whatever an engine call threw into the error that callers are shown.
 *
 * @param error What was thrown.
 * @param action What was tried, such as `inspect service "blog"`.
 * @returns A DeployerError that keeps the cause: `service-not-found`, `swarm-locked`,
 *   `not-a-manager`, `no-quorum`, `engine-error`, or `engine-unreachable` when there was no answer.
 */
export function engineError(error: unknown, action: string): DeployerError {
  if (error instanceof EngineHttpError) {
    return refusalFault(error, action)
  }
  const reason = errorMessage(error)
  return new DeployerError(
    'engine-unreachable',
    `Cannot ${action}: the Docker Engine cannot be reached (${reason}); check that it runs and that DOCKER_HOST is right`,
    { cause: error, retryAfterSeconds: 5 },
  )
}

/** What a proxy or another server wrote is not repeated: it may name hosts and versions. */
function refusalText({ statusCode, message, isEngineMessage }: EngineHttpError): string {
  return isEngineMessage
    ? `the Docker Engine answered ${statusCode}: ${message || '(nothing)'}`
    : `DOCKER_HOST answered ${statusCode}, but not as a Docker Engine does; check that it is one, and that a proxy before it allows this call (the log of Deployer has the answer)`
}

function refusalFault(refusal: EngineHttpError, action: string): DeployerError {
  const { statusCode, message, isEngineMessage } = refusal
  const meaning = MEANINGS.find(
    (candidate) =>
      isEngineMessage && candidate.statusCode === statusCode && candidate.words.test(message),
  )
  if (meaning === undefined) {
    return new DeployerError('engine-error', `Cannot ${action}: ${refusalText(refusal)}`, {
      cause: refusal,
    })
  }
  const { code, remedy, retryAfterSeconds } = meaning
  return new DeployerError(code, `Cannot ${action}: ${remedy} (the engine says: ${message})`, {
    cause: refusal,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}
