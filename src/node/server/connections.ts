// The connections of the HTTP server: how long they live, and that no request outlives its own.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

// Longer than proxies keep a connection to their upstream: 60 s in nginx and AWS load balancers. Of two
// that end it at the same moment, the proxy has to be the one, or it answers a request with 502.
const KEEP_ALIVE_MS = 75_000
// Node's last answer says `Connection: close`, but leaves the connection open until the client ends it
// (RFC 9112 section 9.6 wants the server to); what is pipelined behind it is answered 503.
const MAX_REQUESTS_PER_SOCKET = 100

/**
 * Sets the limits of a server's connections, and ends the requests of a connection with it. Node emits
 * `close` on the response that is being written alone; those of pipelined requests behind it would
 * never learn that nobody waits for them.
 *
 * @param server An HTTP server that has had no request yet.
 */
export function limitConnections(server: Server): void {
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET
  const openResponses = new WeakMap<Socket, Set<ServerResponse>>()
  const requestsOf = new WeakMap<Socket, number>()

  function count(socket: Socket, response: ServerResponse): void {
    const requests = (requestsOf.get(socket) ?? 0) + 1
    requestsOf.set(socket, requests)
    if (requests === MAX_REQUESTS_PER_SOCKET) {
      // Behind the 503s of what is pipelined already.
      response.once('finish', () => setImmediate(() => socket.end()))
    }
  }

  function responsesOf(socket: Socket): Set<ServerResponse> {
    const known = openResponses.get(socket)
    if (known !== undefined) {
      return known
    }
    const responses = new Set<ServerResponse>()
    openResponses.set(socket, responses)
    socket.once('close', () => {
      for (const response of [...responses]) {
        response.emit('close')
      }
    })
    return responses
  }

  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const responses = responsesOf(socket)
    responses.add(response)
    count(socket, response)
    response.once('close', () => responses.delete(response))
  })
}
