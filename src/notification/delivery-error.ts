// The error of a failed delivery attempt.

/** The options of a {@link DeliveryError}. */
export interface DeliveryErrorOptions extends ErrorOptions {
  /** Whether the destination will never accept this message, so that it is not retried. Default: false. */
  readonly isFinal?: boolean
  /** How long the destination asks for no further attempts, in milliseconds. */
  readonly retryAfterMs?: number | undefined
}

/** A delivery attempt that failed. Its message is the reason, without secrets. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
  /** Whether the destination will never accept this message. */
  readonly isFinal: boolean
  /** How long the destination asks for no further attempts, in milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    { isFinal = false, retryAfterMs, ...rest }: DeliveryErrorOptions = {},
  ) {
    super(message, rest)
    this.isFinal = isFinal
    this.retryAfterMs = retryAfterMs
  }
}
