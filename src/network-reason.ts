// Pure: why a request got no answer, in words.

import { oneLine } from './excerpt.ts'

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
export function networkReason(error: unknown): string {
  // Node's error for a name with several addresses has none of its own message.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(networkReason))].join('; ')
  }
  if (!(error instanceof Error)) {
    return oneLine(String(error))
  }
  const { code } = error as { readonly code?: unknown }
  const text = error.message || error.name
  return oneLine(typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text)
}
