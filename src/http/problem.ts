// RFC 9457 problem documents: the one table that maps each error code to a status and a title.

import type { DeployerError, ProblemCode } from '../errors.ts'

/** The table: each code with its HTTP status and the title of its problem document. */
const PROBLEMS: Readonly<Record<ProblemCode, readonly [status: number, title: string]>> = {
  'malformed-request': [400, 'The request is malformed'],
  'invalid-image-reference': [400, 'The image reference is invalid'],
  'missing-token': [401, 'The token is missing'],
  'invalid-token': [401, 'The token is invalid'],
  'updates-not-allowed': [403, 'The service does not allow updates'],
  'not-found': [404, 'There is nothing at this path'],
  'service-not-found': [404, 'There is no such service'],
  'deployment-not-found': [404, 'There is no such deployment'],
  'method-not-allowed': [405, 'The method is not allowed here'],
  'image-mismatch': [409, 'The service runs another image than expected'],
  superseded: [409, 'A later deployment took the place of this one'],
  'service-removed': [410, 'The service was removed'],
  'verdict-unknown': [410, 'Nobody can know any more what became of the deployment'],
  'body-too-large': [413, 'The request body is too large'],
  'unsupported-service': [422, 'The service does not run a container image'],
  'image-not-found': [422, 'The registry does not have the image'],
  'image-not-readable': [422, 'The image is absent or private'],
  'no-suitable-node': [422, 'No node can run the image'],
  'idempotency-key-reused': [422, 'The idempotency key was used for another request'],
  'rollout-failed': [424, 'The rollout failed'],
  'internal-error': [500, 'Deployer failed'],
  'engine-error': [502, 'The Docker Engine refused'],
  'engine-unreachable': [503, 'The Docker Engine cannot be reached'],
  'not-a-manager': [503, 'The Docker Engine is not a swarm manager'],
  'swarm-locked': [503, 'The swarm is locked'],
  'no-quorum': [503, 'The swarm has no leader'],
  overloaded: [503, 'Deployer has too much work in progress'],
  'registry-unavailable': [503, 'The image registry cannot be reached'],
  'update-out-of-sequence': [503, 'The service kept changing'],
  'rollout-pending': [504, 'The rollout is still under way'],
}

/** Every {@link ProblemCode}. */
export const problemCodes: readonly ProblemCode[] = Object.keys(PROBLEMS) as ProblemCode[]

/** An RFC 9457 problem document with Deployer's `code` as an extension member. */
export interface ProblemDocument {
  /** A URN that ends in the code, or `about:blank`. */
  readonly type: string
  /** The same for every problem of the code. */
  readonly title: string
  /** The HTTP status. */
  readonly status: number
  /** A {@link ProblemCode}, or `http-error`. */
  readonly code: string
  /** What failed, with which value, and what to do. */
  readonly detail: string
  /** What else the problem tells: of a deployment, all that its plain answer would. */
  readonly [member: string]: unknown
}

/**
 * The HTTP status of an error code.
 *
 * @param code The code.
 * @returns The status.
 */
export function statusOf(code: ProblemCode): number {
  return PROBLEMS[code][0]
}

/**
 * The `application/problem+json` response for an error.
 *
 * @param error The error.
 * @param headers Response headers that belong to the problem, such as `WWW-Authenticate` or `Allow`.
 * @returns A response with the status of the error's code.
 */
export function problemResponse(
  error: DeployerError,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return problemResponder(error, headers)()
}

/**
 * The same for an error that occurs often: its document is serialised once.
 *
 * @param error The error.
 * @param headers Response headers that belong to the problem.
 * @returns A function that creates a response each time.
 */
export function problemResponder(
  error: DeployerError,
  headers: Readonly<Record<string, string>>,
): () => Response {
  const [status, title] = PROBLEMS[error.code]
  const retryAfter: Record<string, string> =
    error.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(error.retryAfterSeconds) }
  const type = `urn:problem-type:deployer:${error.code}`
  const { code, message: detail, members } = error
  return respond({ type, title, status, code, detail, ...members }, { ...headers, ...retryAfter })
}

/**
 * The problem response for a status that other code chose, such as a Hono `HTTPException`.
 *
 * @param status The status, kept as it is.
 * @param detail What to tell the caller.
 * @param headers Headers to keep.
 * @returns A response whose type is `about:blank` (RFC 9457 section 4.2.1) and code `http-error`.
 */
export function httpProblemResponse(status: number, detail: string, headers: Headers): Response {
  const kept = new Headers(headers)
  kept.delete('Content-Length')
  kept.delete('Content-Type')
  return respond(
    { type: 'about:blank', title: `HTTP ${status}`, status, code: 'http-error', detail },
    Object.fromEntries(kept),
  )()
}

function respond(
  document: ProblemDocument,
  headers: Readonly<Record<string, string>>,
): () => Response {
  const body = JSON.stringify(document)
  const init = {
    status: document.status,
    headers: { ...headers, 'Content-Type': 'application/problem+json' },
  }
  return () => new Response(body, init)
}
