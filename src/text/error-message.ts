// The message of an error.

/**
 * Gets the message of an error.
 *
 * @param error A value that was thrown.
 * @returns Its message. Node's error for a host with several addresses has no message but contains an
 *   error for each address; their messages are joined.
 */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(errorMessage))].join('; ')
  }
  return error instanceof Error ? error.message || error.name : String(error)
}
