// Work that continues after the response.

import type { Context } from 'hono'

/**
 * Keeps a request alive until its work is done, in a runtime that ends it with the response (workerd).
 *
 * @param c The request's context.
 * @param work The work; it must not reject.
 */
export function keepAlive(c: Context, work: Promise<void>): void {
  try {
    c.executionCtx.waitUntil(work)
  } catch {
    // Hono throws where the runtime has no execution context; there the work continues anyway.
  }
}
