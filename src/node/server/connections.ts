// The connections of the HTTP server: their limits, and the end of their requests.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

// Longer than proxies keep an idle connection to their upstream: 60 s in nginx and AWS load balancers.
// The proxy must close it first; otherwise it can send a request on a connection that Deployer is closing,
// and answers that request with 502.
const KEEP_ALIVE_MS = 75_000
// The last response of Node has `Connection: close`, but Node leaves the connection open until the client
// closes it (RFC 9112 section 9.6 requires the server to close). Requests pipelined behind it get 503.
const MAX_REQUESTS_PER_SOCKET = 100

/** A connection with its requests. */
interface Connection {
  requests: number
  readonly openResponses: Set<ServerResponse>
}

/**
 * Sets the limits of a server's connections, and ends all requests of a connection when it closes. Node
 * emits `close` only on the response that is being written. Without this function, the pipelined requests
 * behind it would go on although their caller has disconnected.
 *
 * @param server An HTTP server that has not received a request yet.
 */
export function limitConnections(server: Server): void {
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET
  const connections = new WeakMap<Socket, Connection>()

  function connectionOf(socket: Socket): Connection {
    const known = connections.get(socket)
    if (known !== undefined) {
      return known
    }
    const connection = { requests: 0, openResponses: new Set<ServerResponse>() }
    connections.set(socket, connection)
    socket.once('close', () => {
      for (const response of [...connection.openResponses]) {
        response.emit('close')
      }
    })
    return connection
  }

  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const connection = connectionOf(socket)
    connection.requests += 1
    connection.openResponses.add(response)
    response.once('close', () => connection.openResponses.delete(response))
    if (connection.requests === MAX_REQUESTS_PER_SOCKET) {
      // After the 503 responses to requests that are pipelined already.
      response.once('finish', () => setImmediate(() => socket.end()))
    }
  })
}
