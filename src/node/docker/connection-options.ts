// How Node connects to the engine: socket, TCP, TLS or ssh, with a limit on open connections.

import { Agent, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { DockerHost } from './docker-host.ts'
import { createSshAgent } from './ssh-agent.ts'

/**
 * Certificates for a daemon that uses TLS, in PEM. The certificate of the daemon is always
 * verified.
 */
export interface DockerTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Limits of a connection pool. */
export interface ConnectionPool {
  /** Whether idle connections are kept open. They do not keep the process alive. */
  readonly keepAlive: boolean
  /** Maximum number of open connections; further requests wait. */
  readonly maxSockets: number
}

/**
 * Creates the options with which Node's HTTP client reaches the engine.
 *
 * @param target Address and certificates of the engine.
 * @param pool Limits of the connections that requests with these options share.
 * @returns Options for `http.request`, or for `https.request` if there are certificates.
 */
export function connectionOptions(
  { host, tls }: { readonly host: DockerHost; readonly tls?: DockerTls },
  pool: ConnectionPool,
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
