// Free ports on the loopback address.

import { connect, createServer } from 'node:net'

// The kernel takes the ports of outgoing connections, and of servers that listen on port 0, from 32768 up
// (net.ipv4.ip_local_port_range): a free port below stays free until the test uses it.
const FIRST_PORT = 12_000
const PORT_COUNT = 20_000

/**
 * Finds ports that no process listens on.
 *
 * @param count How many; all of them are different.
 * @returns The ports.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORT_COUNT)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * Checks whether a server accepts connections.
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
