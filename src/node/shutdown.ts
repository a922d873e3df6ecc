// The end of a server: no new connections, and what is in flight gets its answer.

import type { Server } from 'node:http'

const LOOK_EVERY_MS = 25
// A request that was on its way when the end began has this long to come in.
const LATE_REQUESTS_MS = 200

/**
 * Watches a server, so that it can be closed without cutting a request.
 *
 * @param server An HTTP server that has had no request yet.
 * @returns A function that stops accepting and waits for the requests in flight, for `timeoutMs`
 *   milliseconds at most; then connections are cut. It resolves to true when every request got its
 *   answer. Connections that carry no request, as proxies keep them, are not waited for.
 */
export function closable(server: Server): (timeoutMs: number) => Promise<boolean> {
  let inFlight = 0
  server.on('request', (_, response) => {
    inFlight += 1
    response.once('close', () => {
      inFlight -= 1
    })
  })

  return async (timeoutMs) => {
    const startedAt = performance.now()
    let isComplete = true
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      timer = setInterval(() => {
        const elapsed = performance.now() - startedAt
        if (elapsed >= timeoutMs) {
          isComplete = inFlight === 0
          server.closeAllConnections()
        } else if (inFlight === 0 && elapsed >= LATE_REQUESTS_MS) {
          server.closeAllConnections()
        }
      }, LOOK_EVERY_MS)
    })
    clearInterval(timer)
    return isComplete
  }
}
