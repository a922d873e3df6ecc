// DeployerError and its codes. `http/problem.ts` maps the codes to HTTP statuses.

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
  | 'history-unavailable'
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

/** What a {@link DeployerError} may carry besides its code and message. */
export interface DeployerErrorOptions {
  /** The error that caused this one. It is logged and never sent to the caller. */
  readonly cause?: unknown
  /** After how many seconds a retry may succeed; sent as `Retry-After`. */
  readonly retryAfterSeconds?: number
  /** Facts about the error for programs; extension members of the problem document. */
  readonly members?: Readonly<Record<string, unknown>>
  /**
   * Whether the engine is known not to have applied the update, and not to apply it later. Default: that
   * is unknown.
   */
  readonly notApplied?: boolean
}

/** A failure with a stable {@link ProblemCode} and a message that is safe to show to the caller. */
export class DeployerError extends Error {
  override readonly name = 'DeployerError'
  /** What went wrong. */
  readonly code: ProblemCode
  /** After how many seconds a retry may succeed; undefined where waiting does not help. */
  readonly retryAfterSeconds: number | undefined
  /** Facts about the error for programs; extension members of the problem document. */
  readonly members: Readonly<Record<string, unknown>>
  /**
   * Of an update: true when the engine is known not to have applied it. Otherwise Deployer reads the
   * service until it knows.
   */
  readonly notApplied: boolean

  /**
   * @param code What went wrong, from the closed list.
   * @param message What failed, with which value, and what to do; no secrets.
   * @param options The cause, after how many seconds a retry may succeed, further members, and whether
   *   an update was certainly not applied.
   */
  constructor(code: ProblemCode, message: string, options: DeployerErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryAfterSeconds = options.retryAfterSeconds
    this.members = options.members ?? {}
    this.notApplied = options.notApplied ?? false
  }
}

/** The codes of errors that concern one request: another request for the same service may succeed. */
const REQUEST_CODES: ReadonlySet<ProblemCode> = new Set([
  'malformed-request',
  'invalid-image-reference',
  'missing-token',
  'invalid-token',
  'updates-not-allowed',
  'not-found',
  'service-not-found',
  'deployment-not-found',
  'history-unavailable',
  'method-not-allowed',
  'image-mismatch',
  'superseded',
  'service-removed',
  'verdict-unknown',
  'body-too-large',
  'unsupported-service',
  'image-not-found',
  'image-not-readable',
  'no-suitable-node',
  'idempotency-key-reused',
  'rollout-failed',
])

/**
 * Whether an error is caused by the request itself, and not by the engine, a registry or Deployer.
 *
 * @param error What was thrown.
 * @returns True for a {@link DeployerError} whose code names a fault of the request.
 */
export function isRequestError(error: unknown): boolean {
  return error instanceof DeployerError && REQUEST_CODES.has(error.code)
}
