// Pure: the reason why a request got no response.

import { errorMessage } from '../../text/error-message.ts'
import { oneLine } from '../../text/excerpt.ts'

/**
 * Finds the innermost cause of an error of `fetch`, whose own message is only `fetch failed`.
 *
 * @param error The error that `fetch` threw.
 * @returns The cause, or the error itself when it has none.
 */
export function innermost(error: unknown): unknown {
  return error instanceof TypeError && error.cause !== undefined ? innermost(error.cause) : error
}

/**
 * Describes why a request got no response.
 *
 * @param error The innermost cause.
 * @returns Its message and code, in one short line.
 */
export function networkErrorMessage(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  const text = errorMessage(error)
  return oneLine(typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text)
}
