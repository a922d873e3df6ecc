// Servers on a free loopback port for tests of adapters; the test determines their responses.

import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'

/** A server that listens on 127.0.0.1. */
export interface Loopback {
  readonly port: number
  /** Number of open connections. */
  openConnections(): number
  close(): Promise<void>
}

export async function httpLoopback(listener: RequestListener): Promise<Loopback> {
  return listen(createHttpServer(listener))
}

export async function tcpLoopback(onConnection: (socket: Socket) => void): Promise<Loopback> {
  return listen(createTcpServer(onConnection))
}

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<Loopback> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    openConnections: () => sockets.size,
    async close() {
      for (const socket of sockets) {
        socket.destroy()
      }
      if (server.listening) {
        server.close()
        await once(server, 'close')
      }
    },
  }
}
