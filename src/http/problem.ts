// What can go wrong, as the caller is told: one error, one table of codes, one RFC 9457 document.

/** A stable name for what went wrong; `docs/problems.md` has a heading for each. */
export type ProblemCode =
  | 'malformed-request'
  | 'invalid-image-reference'
  | 'missing-token'
  | 'invalid-token'
  | 'updates-not-allowed'
  | 'not-found'
  | 'service-not-found'
  | 'deployment-not-found'
  | 'method-not-allowed'
  | 'image-mismatch'
  | 'superseded'
  | 'service-removed'
  | 'verdict-unknown'
  | 'body-too-large'
  | 'unsupported-service'
  | 'image-not-found'
  | 'image-not-readable'
  | 'no-suitable-node'
  | 'idempotency-key-reused'
  | 'rollout-failed'
  | 'internal-error'
  | 'engine-error'
  | 'engine-unreachable'
  | 'not-a-manager'
  | 'swarm-locked'
  | 'no-quorum'
  | 'overloaded'
  | 'registry-unavailable'
  | 'update-out-of-sequence'
  | 'rollout-pending'

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

/** What a {@link DeployerError} may carry besides its code and message. */
export interface DeployerErrorOptions {
  /** The fault that led here. It is logged, never sent to the caller. */
  readonly cause?: unknown
  /** After how many seconds trying again may help; sent as `Retry-After`. */
  readonly retryAfterSeconds?: number
  /** Response headers that belong to the problem, such as `WWW-Authenticate` or `Allow`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Extension members of the problem document (RFC 9457 section 3.2). */
  readonly members?: Readonly<Record<string, unknown>>
}

/** A failure with a stable {@link ProblemCode} and a message that is safe to show to the caller. */
export class DeployerError extends Error {
  override readonly name = 'DeployerError'
  /** What went wrong. */
  readonly code: ProblemCode
  /** After how many seconds trying again may help; undefined when waiting does not. */
  readonly retryAfterSeconds: number | undefined
  /** Response headers that belong to the problem. */
  readonly headers: Readonly<Record<string, string>>
  /** Extension members of the problem document. */
  readonly members: Readonly<Record<string, unknown>>

  /**
   * @param code What went wrong, from the closed list.
   * @param message What failed, with which value, and what to do; no secrets.
   * @param options Cause, `Retry-After` in seconds, further headers and members.
   */
  constructor(code: ProblemCode, message: string, options: DeployerErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryAfterSeconds = options.retryAfterSeconds
    this.headers = options.headers ?? {}
    this.members = options.members ?? {}
  }

  /** The HTTP status that goes with the code. */
  get status(): number {
    return PROBLEMS[this.code][0]
  }
}

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
 * The `application/problem+json` response that tells a caller of an error.
 *
 * @param error The error to tell of.
 * @returns A response with the status of the error's code and the error's headers.
 */
export function problemResponse(error: DeployerError): Response {
  return problemAnswer(error)()
}

/**
 * The same for an error that is answered often: its document is written once.
 *
 * @param error The error to tell of.
 * @returns A function that makes a response each time.
 */
export function problemAnswer(error: DeployerError): () => Response {
  const [status, title] = PROBLEMS[error.code]
  const headers: Record<string, string> = { ...error.headers }
  if (error.retryAfterSeconds !== undefined) {
    headers['Retry-After'] = String(error.retryAfterSeconds)
  }
  const type = `urn:problem-type:deployer:${error.code}`
  const { code, message: detail, members } = error
  return answer({ type, title, status, code, detail, ...members }, headers)
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
  return answer(
    { type: 'about:blank', title: `HTTP ${status}`, status, code: 'http-error', detail },
    Object.fromEntries(kept),
  )()
}

function answer(
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
