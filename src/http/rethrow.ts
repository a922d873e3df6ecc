// Errors that an embedder's code throws.

/**
 * Throws a caught value again. Hono does not call `onError` for a value that is not an `Error`, and the
 * request would get no response.
 *
 * @param thrown The caught value.
 * @throws The value itself if it is an `Error`, otherwise an `Error` that describes it.
 */
export function rethrow(thrown: unknown): never {
  throw thrown instanceof Error
    ? thrown
    : new Error(`Thrown value is not an Error: ${String(thrown)}`)
}
