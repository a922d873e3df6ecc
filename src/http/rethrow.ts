// Errors that an embedder's code throws.

/**
 * Throws an error on. Hono's `onError` is not called for a thrown value that is no `Error`, and the
 * request would get no response.
 *
 * @param thrown What was thrown.
 * @throws The same where it is an `Error`, otherwise an `Error` that describes it.
 */
export function rethrow(thrown: unknown): never {
  throw thrown instanceof Error ? thrown : new Error(`Not an Error was thrown: ${String(thrown)}`)
}
