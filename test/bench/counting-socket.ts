// A proxy in front of the engine's socket that records each call. It changes none, and refuses those that a
// test names, as a socket proxy does.

import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'

/** A running proxy. */
export interface CountingSocket {
  /** Its address in the format of `DOCKER_HOST`. */
  readonly dockerHost: string
  /** Discards the recorded calls. */
  reset(): void
  /** The calls since the last reset: method and decoded path with query. */
  calls(): readonly string[]
  /**
   * Responds 403 to further calls of an endpoint.
   *
   * @param endpoint Such as `/events`; undefined: refuses none any more.
   */
  refuse(endpoint: string | undefined): void
  close(): Promise<void>
}

/**
 * Opens the socket.
 *
 * @param enginePath The engine's socket.
 * @param path Path of the new socket.
 * @returns The socket, ready for calls.
 */
export async function openCountingSocket(
  enginePath: string,
  path: string,
): Promise<CountingSocket> {
  const agent = new Agent({ keepAlive: true })
  let calls: string[] = []
  let refused: string | undefined

  function forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = '', url = '', headers } = incoming
    calls.push(`${method} ${decodeURIComponent(url)}`)
    if (refused !== undefined && url.replace(/^\/v[\d.]+/, '').startsWith(refused)) {
      outgoing.writeHead(403, { 'Content-Type': 'text/html' })
      outgoing.end('<html><body><h1>403 Forbidden</h1></body></html>')
      return
    }
    const target = { socketPath: enginePath, agent, method, path: url, headers }
    const forwarded = request(target, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.rawHeaders)
      // A stream of events may have no first event for a long time.
      outgoing.flushHeaders()
      response.pipe(outgoing)
      response.on('error', () => outgoing.destroy())
    })
    forwarded.on('error', () => outgoing.destroy())
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) forwarded.destroy()
    })
    incoming.pipe(forwarded)
  }

  const server = createServer(forward).listen(path)
  await once(server, 'listening')

  async function close(): Promise<void> {
    server.close()
    server.closeAllConnections()
    agent.destroy()
    await once(server, 'close')
  }

  return {
    dockerHost: `unix://${path}`,
    reset() {
      calls = []
    },
    calls: () => calls,
    refuse(endpoint) {
      refused = endpoint
    },
    close,
  }
}
