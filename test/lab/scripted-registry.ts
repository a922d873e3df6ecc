// A registry on loopback with one response for each repository.

import { once } from 'node:events'
import { createServer, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The response to requests for a repository. */
export interface ScriptedAnswer {
  readonly status: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

/** A running registry with configured responses. */
export interface ScriptedRegistry {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  close(): void
}

/**
 * Starts a registry.
 *
 * @param answers The responses to `GET /v2/<repository>/…` by repository. Default: 404.
 * @returns The registry, listening.
 */
export async function startScriptedRegistry(
  answers: Readonly<Record<string, ScriptedAnswer>>,
): Promise<ScriptedRegistry> {
  const server = createServer((request, response) => {
    const [, repository = ''] = /^\/v2\/(.*)\/(?:manifests|blobs)\//.exec(request.url ?? '') ?? []
    const isBase = request.url === '/v2/'
    const {
      status,
      headers = {},
      body = '',
    } = isBase ? { status: 200 } : (answers[repository] ?? { status: 404 })
    response.writeHead(status, headers)
    response.end(request.method === 'HEAD' ? undefined : body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
