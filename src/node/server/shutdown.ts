// The end of a server: no new connections, and what is in flight gets its answer.

import type { Server } from 'node:http'

type Fetch<Args extends unknown[]> = (...args: Args) => Response | Promise<Response>

/** A handler that knows how many of its requests are still being worked on. */
export interface CountedFetch<Args extends unknown[]> {
  readonly fetch: (...args: Args) => Promise<Response>
  /** Requests whose handler has not returned, whether or not the caller still waits. */
  inFlight(): number
}

/**
 * Counts a handler's requests. A caller who hangs up ends its response, and not the deployment.
 *
 * @param fetch The handler.
 * @returns The same handler, and its count.
 */
export function counted<Args extends unknown[]>(fetch: Fetch<Args>): CountedFetch<Args> {
  let count = 0
  return {
    async fetch(...args) {
      count += 1
      try {
        return await fetch(...args)
      } finally {
        count -= 1
      }
    },
    inFlight: () => count,
  }
}

const LOOK_EVERY_MS = 25
// A request that was on its way when the end began has this long to come in.
const LATE_REQUESTS_MS = 200

/**
 * Watches a server, so that it can be closed without cutting a request.
 *
 * @param server An HTTP server that has had no request yet.
 * @param handler The handler that it serves.
 * @returns A function that stops accepting and waits for what is in flight, for `timeoutMs`
 *   milliseconds at most; then connections are cut. It resolves to true when every request was
 *   worked off. Connections that carry no request, as proxies keep them, are not waited for.
 */
export function closable(
  server: Server,
  handler: Pick<CountedFetch<never>, 'inFlight'>,
): (timeoutMs: number) => Promise<boolean> {
  let openResponses = 0
  server.on('request', (_, response) => {
    openResponses += 1
    response.once('close', () => {
      openResponses -= 1
    })
  })

  return async (timeoutMs) => {
    const startedAt = performance.now()
    const elapsed = (): number => performance.now() - startedAt
    const isIdle = (): boolean => openResponses === 0 && handler.inFlight() === 0
    server.close()
    while (elapsed() < LATE_REQUESTS_MS || (!isIdle() && elapsed() < timeoutMs)) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
    const isComplete = isIdle()
    server.closeAllConnections()
    return isComplete
  }
}
