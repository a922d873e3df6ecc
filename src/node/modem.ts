// The HTTP exchange under dockerode, in place of its own docker-modem. That one rounds numbers,
// follows redirects to any host (turning an update into a GET), ends the process when one fails,
// reads DOCKER_HOST behind the caller's back, and never checks an ssh host's key.

import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { DockerHost } from './docker-host.ts'
import { parseJson, stringifyJson } from './json.ts'
import { reasonOf } from './reason.ts'
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
}

/** What dockerode asks of its modem. */
export interface Modem {
  /** What dockerode makes its promises with. */
  readonly Promise: PromiseConstructor
  dial(call: Call, callback: (error: Error | null, body: unknown) => void): void
}

interface Call {
  /** Ends with `?` where a query belongs. */
  readonly path: string
  readonly method: string
  readonly options?: {
    readonly _query?: Readonly<Record<string, string>>
    readonly _body?: unknown
  }
}

/** The engine's answer was not 200. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal'
  readonly statusCode: number

  /**
   * @param statusCode The HTTP status.
   * @param message The engine's `message`, or whatever else the answer held.
   */
  constructor(statusCode: number, message: string) {
    super(message)
    this.statusCode = statusCode
  }
}

/** The connection stood, and the request may have got through; then something broke. */
export class BrokenExchange extends Error {
  override readonly name = 'BrokenExchange'

  /** @param cause What broke. */
  constructor(cause: Error) {
    super(reasonOf(cause), { cause })
  }
}

const MAX_MESSAGE = 1000
// A service is some kilobytes; a swarm's largest lists stay far below.
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
// An engine has no use for more calls at once; the others wait for their turn.
const MAX_CONNECTIONS = 64

/**
 * Makes the modem.
 *
 * @param options Where the engine is.
 * @returns A modem whose calls end within `timeoutMs`: with the parsed body of a 200, an
 *   {@link EngineRefusal}, or the error of a connection that failed.
 */
export function createModem(options: ModemOptions): Modem {
  const target = requestTarget(options)
  const request = options.tls === undefined ? httpRequest : httpsRequest
  return {
    Promise,
    dial({ path, method, options: { _query, _body } = {} }, callback) {
      const body = _body === undefined ? undefined : stringifyJson(_body)
      const url = path.endsWith('?') ? path + new URLSearchParams(_query) : path
      const headers = body === undefined ? {} : jsonHeaders(body)
      const outgoing = request({ ...target, method, path: url, headers })
      let isDone = false
      let hasResponse = false
      let mayBeSent = false
      const done = (error: Error | null, answer: unknown): void => {
        if (!isDone) {
          isDone = true
          clearTimeout(timer)
          callback(error, answer)
        }
      }
      const fail = (error: Error): void => {
        done(mayBeSent ? new BrokenExchange(error) : error, null)
        outgoing.destroy()
      }
      const timer = setTimeout(() => {
        fail(new Error(`no answer within ${options.timeoutMs} ms`))
      }, options.timeoutMs)
      outgoing.on('socket', (socket) => {
        // A kept-alive socket stands already; of an ssh program nobody knows.
        mayBeSent = socket.connecting !== true
        if (!mayBeSent) {
          socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
            mayBeSent = true
          })
        }
      })
      outgoing.on('error', fail)
      // Node ends some exchanges, such as one answered 101, with nothing but this.
      outgoing.on('close', () => {
        if (!hasResponse) {
          fail(new Error('the connection was closed'))
        }
      })
      outgoing.on('response', (response) => {
        hasResponse = true
        readText(response).then((text) => settle(response.statusCode ?? 0, text, done), fail)
      })
      outgoing.end(body)
    },
  }
}

function requestTarget({ host, tls }: ModemOptions): RequestOptions {
  const keptAlive = { keepAlive: true, maxSockets: MAX_CONNECTIONS }
  switch (host.kind) {
    case 'unix':
      return { socketPath: host.socketPath, agent: new Agent(keptAlive) }
    case 'tcp':
      return {
        host: host.host,
        port: host.port,
        agent: tls ? new HttpsAgent({ ...tls, ...keptAlive }) : new Agent(keptAlive),
      }
    case 'ssh':
      return { host: 'docker', agent: createSshAgent(host) }
  }
}

/** Engines from 26 on refuse any other content type. */
function jsonHeaders(body: string): Record<string, string | number> {
  return { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
}

function readText(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > MAX_ANSWER_BYTES) {
        reject(new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`))
      }
    })
    response.on('error', reject)
    response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
  })
}

function settle(
  statusCode: number,
  text: string,
  done: (error: Error | null, body: unknown) => void,
): void {
  if (statusCode !== 200) {
    done(new EngineRefusal(statusCode, refusalMessage(text)), null)
    return
  }
  try {
    done(null, parseJson(text))
  } catch {
    done(new EngineRefusal(statusCode, `no JSON: ${text.slice(0, 100)}`), null)
  }
}

/** `{"message": "…"}`, but plain text for an API version that is too old (28.5 and 29). */
function refusalMessage(text: string): string {
  try {
    const { message } = JSON.parse(text)
    return String(message ?? text).slice(0, MAX_MESSAGE)
  } catch {
    return text.trim().slice(0, MAX_MESSAGE)
  }
}
