// A registry on loopback that asks for Basic authentication, takes whatever it is shown, and records it.

import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A registry that wants to know passwords. */
export interface AskingRegistry {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  /** The users and passwords that it was shown, as `user:password`, in order. */
  readonly shown: readonly string[]
  close(): void
}

/**
 * Starts a registry that serves the images of another one to everybody who shows any credentials.
 *
 * @param upstream The address of the open registry that has the images, `127.0.0.1:PORT`.
 * @returns The registry, listening.
 */
export async function startAskingRegistry(upstream: string): Promise<AskingRegistry> {
  const shown: string[] = []
  const server = createServer((incoming, outgoing) => {
    const [, credentials] = /^Basic (.+)$/.exec(incoming.headers.authorization ?? '') ?? []
    if (credentials === undefined) {
      outgoing.writeHead(401, { 'WWW-Authenticate': 'Basic realm="asking"' })
      outgoing.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
      return
    }
    shown.push(Buffer.from(credentials, 'base64').toString())
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
    shown,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
