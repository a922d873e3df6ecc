// `GET /healthz`: whether the process answers requests.

import type { Context } from 'hono'

/**
 * Handles the request. It needs no token and asks neither the engine nor anything else: an engine that
 * is unreachable is no reason to restart Deployer.
 *
 * @param c The request's context.
 * @returns 200 with the text `ok`.
 */
export function getHealth(c: Context): Response {
  return c.text('ok\n', 200, { 'Cache-Control': 'no-store' })
}
