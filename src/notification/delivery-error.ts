// Why a message was not delivered, and what is to be done about it.

/** Beside the reason. */
export interface DeliveryErrorOptions extends ErrorOptions {
  /** Whether the same message can never be taken: it is not tried again. Default: false. */
  readonly isFinal?: boolean
  /** How long the other side asks to be left alone, in milliseconds. */
  readonly retryAfterMs?: number | undefined
}

/** A try to deliver a message that failed. Its message tells why, and nothing secret. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
  /** Whether the same message can never be taken. */
  readonly isFinal: boolean
  /** How long the other side asks to be left alone, in milliseconds. */
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
