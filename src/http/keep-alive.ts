// Work that continues after the response.

import type { Context } from 'hono'

/**
 * Keeps a request alive until its work is done, in a runtime that ends it with the response (workerd).
 *
 * @param c The request's context.
 * @param wait Waits for the work; it must not reject. It is not called in other runtimes.
 */
export function keepAlive(c: Context, wait: () => Promise<void>): void {
  let context: Context['executionCtx']
  try {
    context = c.executionCtx
  } catch {
    // Hono throws where the runtime has no execution context; there the work continues anyway.
    return
  }
  context.waitUntil(wait())
}
