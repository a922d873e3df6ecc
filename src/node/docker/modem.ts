// The HTTP client under dockerode, in place of its own docker-modem. That one rounds numbers,
// follows redirects to any host (turning an update into a GET), ends the process when one fails,
// reads DOCKER_HOST behind the caller's back, and never checks an ssh host's key.

import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { Socket } from 'node:net'
import type { DockerHost } from './docker-host.ts'
import type { EngineClock } from './engine-clock.ts'
import { parseJson, parseReadOnlyJson, stringifyJson } from './json.ts'
import { ConnectionLostError, readPieces, roundTrip } from './round-trip.ts'
import { createSshAgent } from './ssh-agent.ts'

/** The certificates of a daemon behind TLS, in PEM. The daemon's own is always verified. */
export interface DockerTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Where and how to reach the engine. */
export interface ModemOptions {
  readonly host: DockerHost
  readonly tls?: DockerTls
  /** The longest that one call may take, in milliseconds. */
  readonly timeoutMs: number
  /** Is told of the time in each answer. */
  readonly clock: EngineClock
}

/** What dockerode asks of its modem, and two ways to ask without dockerode. */
export interface Modem {
  /** What dockerode makes its promises with. */
  readonly Promise: PromiseConstructor
  /** Calls the engine as `ask` does; what it reads may be written back, with all of its numbers. */
  dial(call: DockerodeCall, callback: (error: unknown, body: unknown) => void): void
  /**
   * Calls the engine.
   *
   * @param call What to ask.
   * @returns The parsed body of a 200.
   * @throws EngineRefusal for any other answer, and the error of a connection that failed.
   */
  ask(call: Call): Promise<unknown>
  /**
   * Reads an answer that takes its time, over a connection of its own. Only its beginning has to be
   * there within the time that a call may take.
   *
   * @param call What to ask.
   * @param reader Is given the answer, piece by piece, if it is a 200.
   * @returns Nothing, once the answer has come to its end or the reader's signal aborts.
   * @throws EngineRefusal for any other answer, the error of a connection that failed, and whatever
   *   the reader throws.
   */
  stream(call: Call, reader: StreamReader): Promise<void>
  /** How many connections there are for the pool `registry`. */
  readonly registryConnections: number
}

/** What to ask the engine. */
export interface Call {
  /** Ends with `?` where a query belongs. */
  readonly path: string
  /** Default: GET. */
  readonly method?: string
  readonly query?: Readonly<Record<string, string>> | undefined
  /** Is sent as JSON. */
  readonly body?: unknown
  /**
   * Makes a value of the bytes of a 200. What it throws is told as an answer that is not JSON.
   * Default: JSON that is never written back.
   */
  readonly parse?: (bytes: Buffer) => unknown
  /** Credentials for a registry, as the header `X-Registry-Auth` holds them. Secret. */
  readonly registryAuth?: string | undefined
  /** The longest that this call may take, in milliseconds. Default: as every call. */
  readonly timeoutMs?: number
  /** Which connections it may take. Calls that wait for registries have their own. Default: `calls`. */
  readonly pool?: 'calls' | 'registry'
}

interface DockerodeCall {
  readonly path: string
  readonly method: string
  readonly options?: {
    readonly _query?: Readonly<Record<string, string>>
    readonly _body?: unknown
  }
  /** dockerode's word for {@link Call.registryAuth}. */
  readonly authconfig?: string | undefined
}

/** Who reads a stream, and how long. */
export interface StreamReader {
  /** Ends the stream. */
  readonly signal: AbortSignal
  opened(headers: IncomingHttpHeaders): void
  chunk(chunk: Buffer): void
}

/** The engine's answer was not 200. */
export class EngineHttpError extends Error {
  override readonly name = 'EngineRefusal'
  readonly statusCode: number
  /** Whether the message is the engine's own `{"message": "…"}`, and not a page of something else. */
  readonly isEngineMessage: boolean

  /**
   * @param statusCode The HTTP status.
   * @param message The engine's `message`, or the text of an answer that has none.
   * @param options Whether the engine itself wrote the message. Default: yes.
   */
  constructor(
    statusCode: number,
    message: string,
    { isEngineMessage = true }: { readonly isEngineMessage?: boolean } = {},
  ) {
    super(message)
    this.statusCode = statusCode
    this.isEngineMessage = isEngineMessage
  }
}

interface Answer {
  readonly statusCode: number
  readonly bytes: Buffer
}

const MAX_MESSAGE = 1000
// A task is some kilobytes: thousands of them, with those before them, stay below.
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
// An engine has no use for more calls at once; the others wait for their turn.
const MAX_CONNECTIONS = 64
// An engine holds a call for up to 40 s while a registry is silent (20.10).
const REGISTRY_CONNECTIONS = 16
// Each is an ssh process of its own.
const REGISTRY_CONNECTIONS_BY_SSH = 4
// Go's servers, dockerd among them, send their own as often.
const PROBE_IDLE_MS = 15_000

/**
 * Makes the modem.
 *
 * @param options Where the engine is.
 * @returns A modem whose connections for calls are kept alive; none stands yet.
 */
export function createModem(options: ModemOptions): Modem {
  const { tls, timeoutMs, clock } = options
  const registryConnections =
    options.host.kind === 'ssh' ? REGISTRY_CONNECTIONS_BY_SSH : REGISTRY_CONNECTIONS
  const targets = {
    calls: requestTarget(options, { keepAlive: true, maxSockets: MAX_CONNECTIONS }),
    registry: requestTarget(options, { keepAlive: true, maxSockets: registryConnections }),
  }
  const forStreams = requestTarget(options, { keepAlive: false, maxSockets: MAX_CONNECTIONS })
  const request = tls === undefined ? httpRequest : httpsRequest

  function start(target: RequestOptions, call: Call, body?: string): ClientRequest {
    const { path, method = 'GET', query, registryAuth } = call
    const outgoing = request({
      ...target,
      method,
      path: path.endsWith('?') ? path + new URLSearchParams(query) : path,
      headers: {
        ...(body === undefined ? {} : jsonHeaders(body)),
        ...(registryAuth === undefined ? {} : { 'X-Registry-Auth': padded(registryAuth) }),
      },
    })
    const sentMs = Date.now()
    outgoing.on('response', ({ headers: { date } }) => {
      clock.observe({ date, sentMs, receivedMs: Date.now() })
    })
    return outgoing
  }

  async function ask(call: Call): Promise<unknown> {
    const body = call.body === undefined ? undefined : stringifyJson(call.body)
    const answer = await roundTrip(start(targets[call.pool ?? 'calls'], call, body), {
      body,
      timeoutMs: call.timeoutMs ?? timeoutMs,
      read: readAnswer,
    })
    return bodyOf(answer, call.parse ?? readOnly)
  }

  async function stream(call: Call, reader: StreamReader): Promise<void> {
    const { signal } = reader
    if (signal.aborted) {
      return
    }
    try {
      const refusal = await roundTrip(start({ ...forStreams, signal }, call).on('socket', probe), {
        timeoutMs: call.timeoutMs ?? timeoutMs,
        read: (response, stopClock) => readStream(response, stopClock, reader),
      })
      if (refusal !== undefined) {
        throw engineRefusal(refusal)
      }
    } catch (error) {
      if (!signal.aborted) {
        throw error
      }
    }
  }

  return {
    Promise,
    ask,
    stream,
    registryConnections,
    dial({ path, method, options: { _query, _body } = {}, authconfig }, callback) {
      const parse = (bytes: Buffer): unknown => parseJson(bytes.toString())
      const call = { path, method, query: _query, body: _body, registryAuth: authconfig, parse }
      ask(call).then(
        (body) => callback(null, body),
        (error: unknown) => callback(error, null),
      )
    },
  }
}

function requestTarget(
  { host, tls }: ModemOptions,
  pool: { readonly keepAlive: boolean; readonly maxSockets: number },
): RequestOptions {
  switch (host.kind) {
    case 'unix':
      return { socketPath: host.socketPath, agent: new Agent(pool) }
    case 'tcp':
      return {
        host: host.host,
        port: host.port,
        agent: tls ? new HttpsAgent({ ...tls, ...pool }) : new Agent(pool),
      }
    case 'ssh':
      return { host: 'docker', agent: createSshAgent(host, pool) }
  }
}

/** Lets the kernel find out when the other end is gone: a stream may be silent for days. */
function probe(socket: unknown): void {
  if (socket instanceof Socket) {
    socket.setKeepAlive(true, PROBE_IDLE_MS)
  }
}

/** Without its padding, base64url is no base64url to an engine: it passes the credentials over. */
function padded(base64url: string): string {
  return base64url.padEnd(Math.ceil(base64url.length / 4) * 4, '=')
}

/** Engines from 26 on refuse any other content type. */
function jsonHeaders(body: string): Record<string, string | number> {
  return { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = []
  let length = 0
  await readPieces(response, (piece) => {
    pieces.push(piece)
    length += piece.length
    if (length > MAX_ANSWER_BYTES) {
      const words = `the answer is longer than ${MAX_ANSWER_BYTES} bytes`
      throw new ConnectionLostError(new Error(words))
    }
  })
  return { statusCode: response.statusCode ?? 0, bytes: Buffer.concat(pieces) }
}

/** Gives the answer when it is no stream. */
async function readStream(
  response: IncomingMessage,
  stopClock: () => void,
  reader: StreamReader,
): Promise<Answer | undefined> {
  if (response.statusCode !== 200) {
    return readAnswer(response)
  }
  stopClock()
  reader.opened(response.headers)
  await readPieces(response, (chunk) => reader.chunk(chunk))
  return undefined
}

async function bodyOf(answer: Answer, parse: (bytes: Buffer) => unknown): Promise<unknown> {
  const { statusCode, bytes } = answer
  if (statusCode !== 200) {
    throw engineRefusal(answer)
  }
  try {
    return await parse(bytes)
  } catch {
    const words = `no JSON: ${bytes.toString('utf8', 0, 400).slice(0, 100)}`
    throw new EngineHttpError(statusCode, words, { isEngineMessage: false })
  }
}

function readOnly(bytes: Buffer): unknown {
  return parseReadOnlyJson(bytes.toString())
}

/** `{"message": "…"}`; plain text for an API version that is too old (28.5 and 29), and from proxies. */
function engineRefusal({ statusCode, bytes }: Answer): EngineHttpError {
  const text = bytes.toString()
  const message = engineMessage(text)
  const words = (message ?? text.trim()).slice(0, MAX_MESSAGE)
  return new EngineHttpError(statusCode, words, { isEngineMessage: message !== undefined })
}

function engineMessage(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text)
    return typeof message === 'string' ? message : undefined
  } catch {
    return undefined
  }
}
