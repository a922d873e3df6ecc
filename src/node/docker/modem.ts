// The HTTP client of the engine. It replaces docker-modem under dockerode, because docker-modem
// rounds large numbers, follows redirects to any host (and turns an update into a GET), ends the
// process when a redirect fails, reads DOCKER_HOST without being asked, and never checks the host
// key of an ssh server.

import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Socket } from 'node:net'
import { connectionOptions, type DockerTls } from './connection-options.ts'
import type { DockerHost } from './docker-host.ts'
import type { EngineClock } from './engine-clock.ts'
import { type EngineResponse, parseBody, readResponse, toHttpError } from './engine-response.ts'
import { parseJson, parseReadOnlyJson, stringifyJson } from './json.ts'
import { readChunks, roundTrip } from './round-trip.ts'

/** How to reach the engine. */
export interface ModemOptions {
  readonly host: DockerHost
  /** Default: no TLS. */
  readonly tls?: DockerTls
  /** Timeout of a request, in milliseconds. */
  readonly timeoutMs: number
  /** Observes the `Date` header of each response. */
  readonly clock: EngineClock
}

/**
 * The interface that dockerode needs of its modem, and two functions that work without dockerode.
 */
export interface Modem {
  /** The constructor of the promises that dockerode returns. */
  readonly Promise: PromiseConstructor
  /** Sends a request for dockerode. The result may be written back: its numbers are exact. */
  dial(call: DockerodeCall, callback: (error: unknown, body: unknown) => void): void
  /**
   * Sends a request and reads the whole response.
   *
   * @param request The request.
   * @returns The parsed body of a response with the expected status.
   * @throws EngineHttpError for any other response, and the error of a connection that failed.
   */
  request(request: EngineRequest): Promise<unknown>
  /**
   * Reads a response that may last, over a connection of its own. The timeout applies to the
   * response headers only.
   *
   * @param request The request.
   * @param reader Receives the body of a 200 in chunks.
   * @returns Nothing; resolves at the end of the response, or when the reader's signal aborts.
   * @throws EngineHttpError for any other response, the error of a connection that failed, and what
   *   the reader throws.
   */
  stream(request: EngineRequest, reader: StreamReader): Promise<void>
  /** Number of connections in the pool `registry`. */
  readonly registryConnections: number
}

/** A request to the engine. */
export interface EngineRequest {
  /** Path; with a `?` at the end if there is a query. */
  readonly path: string
  /** Default: GET. */
  readonly method?: string
  readonly query?: Readonly<Record<string, string>> | undefined
  /** Sent as JSON. */
  readonly body?: unknown
  /** Status of a successful response. Default: 200. */
  readonly status?: number
  /**
   * Parses the bytes of a successful response. If it throws, the response is reported as not JSON.
   * Default: JSON that is not written back.
   */
  readonly parse?: (bytes: Buffer) => unknown
  /** Registry credentials, in the format of the header `X-Registry-Auth`. Secret. */
  readonly registryAuth?: string | undefined
  /** Timeout of this request, in milliseconds. Default: that of the modem. */
  readonly timeoutMs?: number
  /** Connection pool. Requests that wait for registries have their own. Default: `calls`. */
  readonly pool?: 'calls' | 'registry'
}

interface DockerodeCall {
  readonly path: string
  readonly method: string
  readonly options?: {
    readonly _query?: Readonly<Record<string, string>>
    readonly _body?: unknown
  }
  /** dockerode's name for {@link EngineRequest.registryAuth}. */
  readonly authconfig?: string | undefined
}

/** Reads the body of a streamed response. */
export interface StreamReader {
  /** Ends the stream. */
  readonly signal: AbortSignal
  opened(headers: IncomingHttpHeaders): void
  chunk(chunk: Buffer): void
}

// More simultaneous requests do not make an engine faster; further ones wait for a connection.
const MAX_CONNECTIONS = 64
// An engine (20.10) takes up to 40 s to answer if a registry does not respond.
const REGISTRY_CONNECTIONS = 16
// Each connection is an ssh process.
const REGISTRY_CONNECTIONS_BY_SSH = 4
// The default of servers written in Go, such as dockerd.
const KEEP_ALIVE_PROBE_MS = 15_000

/**
 * Creates the modem.
 *
 * @param options How to reach the engine.
 * @returns The modem. It connects with the first request, and keeps idle connections open.
 */
export function createModem(options: ModemOptions): Modem {
  const { host, tls, timeoutMs, clock } = options
  const registryConnections =
    host.kind === 'ssh' ? REGISTRY_CONNECTIONS_BY_SSH : REGISTRY_CONNECTIONS
  const pools = {
    calls: connectionOptions(options, { keepAlive: true, maxSockets: MAX_CONNECTIONS }),
    registry: connectionOptions(options, { keepAlive: true, maxSockets: registryConnections }),
  }
  const streams = connectionOptions(options, { keepAlive: false, maxSockets: MAX_CONNECTIONS })
  const createRequest = tls === undefined ? httpRequest : httpsRequest

  function start(connection: RequestOptions, request: EngineRequest, body?: string): ClientRequest {
    const { path, method = 'GET', query, registryAuth } = request
    const outgoing = createRequest({
      ...connection,
      method,
      path: path.endsWith('?') ? path + new URLSearchParams(query) : path,
      headers: {
        ...(body === undefined ? {} : jsonHeaders(body)),
        ...(registryAuth === undefined ? {} : { 'X-Registry-Auth': addPadding(registryAuth) }),
      },
    })
    const sentMs = Date.now()
    outgoing.on('response', ({ headers: { date } }) => {
      clock.observe({ date, sentMs, receivedMs: Date.now() })
    })
    return outgoing
  }

  async function request(engineRequest: EngineRequest): Promise<unknown> {
    const { pool = 'calls', parse = parseReadOnly, status = 200 } = engineRequest
    const body = engineRequest.body === undefined ? undefined : stringifyJson(engineRequest.body)
    const response = await roundTrip(start(pools[pool], engineRequest, body), {
      body,
      timeoutMs: engineRequest.timeoutMs ?? timeoutMs,
      read: readResponse,
    })
    return parseBody(response, { status, parse })
  }

  async function stream(engineRequest: EngineRequest, reader: StreamReader): Promise<void> {
    const { signal } = reader
    if (signal.aborted) {
      return
    }
    try {
      const outgoing = start({ ...streams, signal }, engineRequest).on('socket', enableProbes)
      const errorResponse = await roundTrip(outgoing, {
        timeoutMs: engineRequest.timeoutMs ?? timeoutMs,
        read: (response, stopTimer) => readStream(response, stopTimer, reader),
      })
      if (errorResponse !== undefined) {
        throw toHttpError(errorResponse)
      }
    } catch (error) {
      if (!signal.aborted) {
        throw error
      }
    }
  }

  return {
    Promise,
    request,
    stream,
    registryConnections,
    dial({ path, method, options: { _query, _body } = {}, authconfig }, callback) {
      const parse = (bytes: Buffer): unknown => parseJson(bytes.toString())
      request({ path, method, query: _query, body: _body, registryAuth: authconfig, parse }).then(
        (body) => callback(null, body),
        (error: unknown) => callback(error, null),
      )
    },
  }
}

/** Lets the kernel detect that the other end is unreachable: a stream may be silent for days. */
function enableProbes(socket: unknown): void {
  if (socket instanceof Socket) {
    socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS)
  }
}

/** An engine ignores credentials in base64url without padding. */
function addPadding(base64url: string): string {
  return base64url.padEnd(Math.ceil(base64url.length / 4) * 4, '=')
}

/** Engines from 26 on refuse any other content type. */
function jsonHeaders(body: string): Record<string, string | number> {
  return { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
}

/** Returns the response if it is not a stream. */
async function readStream(
  response: IncomingMessage,
  stopTimer: () => void,
  reader: StreamReader,
): Promise<EngineResponse | undefined> {
  if (response.statusCode !== 200) {
    return readResponse(response)
  }
  stopTimer()
  reader.opened(response.headers)
  await readChunks(response, (chunk) => reader.chunk(chunk))
  return undefined
}

function parseReadOnly(bytes: Buffer): unknown {
  return parseReadOnlyJson(bytes.toString())
}
