// Work that goes on after the response.

import type { Context } from 'hono'

/**
 * Asks a runtime that stops a request's work with its response (workerd) to wait.
 *
 * @param c The request's context.
 * @param work What is to be waited for; it must not reject.
 */
export function keepAlive(c: Context, work: Promise<void>): void {
  try {
    c.executionCtx.waitUntil(work)
  } catch {
    // Hono throws where the runtime has no execution context; there the work goes on by itself.
  }
}
