// The end of a server: no new connections, what is in flight gets its answer.

import type { Server } from 'node:http'

const LOOK_EVERY_MS = 25

/**
 * Stops accepting and waits for the requests in flight.
 *
 * @param server A listening HTTP server.
 * @param timeoutMs The longest to wait, in milliseconds; then connections are cut.
 * @returns True when every request got its answer.
 */
export async function closeServer(server: Server, timeoutMs: number): Promise<boolean> {
  const timer: { cut?: NodeJS.Timeout; look?: NodeJS.Timeout } = {}
  let isComplete = true
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    // Kept-alive connections become idle one after another; `close` drops those of its moment only.
    timer.look = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS)
    timer.cut = setTimeout(() => {
      isComplete = false
      server.closeAllConnections()
    }, timeoutMs)
  })
  clearInterval(timer.look)
  clearTimeout(timer.cut)
  return isComplete
}
