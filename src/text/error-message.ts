// Why something failed, in words.

/**
 * The reason that an error gives.
 *
 * @param error Whatever was thrown.
 * @returns Its message. Node's error for a name with several addresses has none of its own, and an
 *   error for each address inside; they are joined.
 */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(errorMessage))].join('; ')
  }
  return error instanceof Error ? error.message || error.name : String(error)
}
