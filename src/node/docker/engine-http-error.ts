// The error for an HTTP response of the engine that is not 200.

/** The engine, or a proxy in front of it, did not answer 200. */
export class EngineHttpError extends Error {
  override readonly name = 'EngineHttpError'
  readonly statusCode: number
  /**
   * Whether the engine sent `{"message": "…"}`; false for the body of a proxy or another server.
   */
  readonly isEngineMessage: boolean

  /**
   * @param statusCode HTTP status.
   * @param message The engine's `message`, or the text of the body.
   * @param options Whether the message is the engine's own. Default: true.
   */
  constructor(
    statusCode: number,
    message: string,
    { isEngineMessage = true }: { readonly isEngineMessage?: boolean } = {},
  ) {
    super(message)
    this.statusCode = statusCode
    this.isEngineMessage = isEngineMessage
  }
}
