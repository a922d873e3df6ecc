// A registry on loopback that requires Basic authentication, accepts all credentials and records them.

import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A registry that records credentials. */
export interface RecordingRegistry {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  /** The received credentials, `user:password`, in order. */
  readonly credentials: readonly string[]
  close(): void
}

/**
 * Starts a registry that serves the images of another one to clients with any credentials.
 *
 * @param upstream The address of the open registry that has the images, `127.0.0.1:PORT`.
 * @returns The registry, listening.
 */
export async function startRecordingRegistry(upstream: string): Promise<RecordingRegistry> {
  const credentials: string[] = []
  const server = createServer((incoming, outgoing) => {
    const [, encoded] = /^Basic (.+)$/.exec(incoming.headers.authorization ?? '') ?? []
    if (encoded === undefined) {
      outgoing.writeHead(401, { 'WWW-Authenticate': 'Basic realm="recording"' })
      outgoing.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
      return
    }
    credentials.push(Buffer.from(encoded, 'base64').toString())
    const { authorization: _, ...headers } = incoming.headers
    const { method, url: path } = incoming
    const forwarded = request(`http://${upstream}`, { method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    forwarded.on('error', () => outgoing.destroy())
    incoming.pipe(forwarded)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
