// The shutdown of the HTTP server: it accepts no new connections, and requests in progress are answered.

import type { Server } from 'node:http'

type Fetch<Args extends unknown[]> = (...args: Args) => Response | Promise<Response>

/** A handler that counts its requests in progress. */
export interface CountedFetch<Args extends unknown[]> {
  readonly fetch: (...args: Args) => Promise<Response>
  /** Returns the number of requests whose handler has not returned, even if the caller disconnected. */
  inProgress(): number
}

/**
 * Counts the requests of a handler. A caller that disconnects ends its response, but not the deployment.
 *
 * @param fetch The handler.
 * @returns The handler with the count.
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
    inProgress: () => count,
  }
}

const CHECK_EVERY_MS = 25
// Requests that were already on their way when the shutdown began can arrive for this long.
const LATE_REQUESTS_MS = 200

/**
 * Counts the responses of a server, so that it can be closed after its requests are answered.
 *
 * @param server An HTTP server that has not received a request yet.
 * @param handler The handler of the server.
 * @returns A function that stops accepting connections, waits at most `timeoutMs` milliseconds for requests
 *   in progress, and then closes all connections. It resolves to true if every request was answered.
 *   It does not wait for connections without a request, such as those that proxies keep.
 */
export function closable(
  server: Server,
  handler: Pick<CountedFetch<never>, 'inProgress'>,
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
    const isIdle = (): boolean => openResponses === 0 && handler.inProgress() === 0
    server.close()
    while (elapsed() < LATE_REQUESTS_MS || (!isIdle() && elapsed() < timeoutMs)) {
      await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS))
    }
    const isComplete = isIdle()
    server.closeAllConnections()
    return isComplete
  }
}
