// RFC 9457 problem documents: the one table that maps each error code to a status and a title.

import type { DeployerError, ProblemCode } from '../errors.ts'

/** The table: each code with its HTTP status and the title of its problem document. */
const PROBLEMS: Readonly<Record<ProblemCode, readonly [status: number, title: string]>> = {
  'malformed-request': [400, 'The request is malformed'],
  'invalid-image-reference': [400, 'The image reference is invalid'],
  'missing-token': [401, 'The token is missing'],
  'invalid-token': [401, 'The token is invalid'],
  'updates-not-allowed': [403, 'The service does not allow updates'],
  'not-found': [404, 'The path does not exist'],
  'service-not-found': [404, 'The service does not exist'],
  'deployment-not-found': [404, 'The deployment does not exist'],
  'history-unavailable': [404, 'No history is kept'],
  'method-not-allowed': [405, 'The path does not support the method'],
  'image-mismatch': [409, 'The service runs another image than expected'],
  superseded: [409, 'The deployment was superseded by a later one'],
  'service-removed': [410, 'The service was removed'],
  'verdict-unknown': [410, 'The outcome of the deployment cannot be determined'],
  'body-too-large': [413, 'The request body is too large'],
  'unsupported-service': [422, 'The service does not run a container image'],
  'image-not-found': [422, 'The registry does not have the image'],
  'image-not-readable': [422, 'The image is absent or private'],
  'no-suitable-node': [422, 'No node can run the image'],
  'idempotency-key-reused': [422, 'The idempotency key was used for another request'],
  'rollout-failed': [424, 'The rollout failed'],
  'internal-error': [500, 'Deployer failed'],
  'engine-error': [502, 'The Docker Engine returned an error'],
  'engine-unreachable': [503, 'The Docker Engine is unreachable'],
  'not-a-manager': [503, 'The Docker Engine is not a swarm manager'],
  'swarm-locked': [503, 'The swarm is locked'],
  'no-quorum': [503, 'The swarm has no leader'],
  overloaded: [503, 'Deployer has too much work in progress'],
  'registry-unavailable': [503, 'The image registry is unreachable'],
  'update-out-of-sequence': [503, 'The service kept changing'],
  'rollout-pending': [504, 'The rollout is still in progress'],
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
  /** Further members; for a deployment, all members of its report. */
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
 * @param headers Further response headers, such as `WWW-Authenticate` or `Allow`.
 * @returns A response with the status of the error's code.
 */
export function problemResponse(
  error: DeployerError,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return problemResponder(error, headers)()
}

/**
 * Creates the responses for an error that occurs often; the document is serialised once.
 *
 * @param error The error.
 * @param headers Further response headers.
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
 * @param detail The message for the caller.
 * @param headers The headers that the response keeps.
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
