// Free ports on the loopback address.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

/**
 * Finds ports that nobody listens on.
 *
 * @param count How many; all are different, since all are bound before the first is let go.
 * @returns The ports.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/**
 * Tells whether somebody accepts connections.
 *
 * @param target A port on the loopback address, or the path of a Unix socket.
 * @returns Whether a connection was accepted.
 */
export async function isListening(target: number | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
