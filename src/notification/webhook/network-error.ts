// Pure: why a request got no answer, in words.

import { errorMessage } from '../../text/error-message.ts'
import { oneLine } from '../../text/excerpt.ts'

/**
 * Finds what is behind a fault of `fetch`: `fetch failed` says nothing, the reason is its cause.
 *
 * @param error What `fetch` threw.
 * @returns The cause; the error itself when it has none.
 */
export function innermost(error: unknown): unknown {
  return error instanceof TypeError && error.cause !== undefined ? innermost(error.cause) : error
}

/**
 * Tells why a request got no answer.
 *
 * @param error What is behind the fault.
 * @returns Its message and code, in one short line.
 */
export function networkErrorMessage(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  const text = errorMessage(error)
  return oneLine(typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text)
}
