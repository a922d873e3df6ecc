// The HTTP client of the benchmark for both sides: node:http over connections that are kept open.

import { Agent, type RequestOptions, request } from 'node:http'

/** Target, number of connections and headers. */
export interface HttpClientOptions {
  /** A Unix socket, or else a port on the loopback address. */
  readonly target: { readonly socketPath: string } | { readonly port: number }
  readonly connections: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A response of any status. */
export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

/** Connections to one server. */
export interface HttpClient {
  call(method: string, path: string, body?: string): Promise<HttpAnswer>
  close(): void
}

/**
 * Creates a client, which opens connections on demand.
 *
 * @param options Target, number of connections and headers.
 * @returns The client.
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { target, connections, headers = {} } = options
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const common: RequestOptions = { host: '127.0.0.1', ...target, agent }

  function call(method: string, path: string, body?: string): Promise<HttpAnswer> {
    const content =
      body === undefined
        ? {}
        : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...common, method, path, headers: { ...headers, ...content } })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
        })
      })
      outgoing.end(body)
    })
  }

  return { call, close: () => agent.destroy() }
}
