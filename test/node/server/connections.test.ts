import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { serve } from '@hono/node-server'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { limitConnections } from '../../../src/node/server/connections.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
): Promise<{ readonly server: Server; readonly connect: () => Promise<Socket> }> {
  const server = serve({ fetch, port: 0, hostname: '127.0.0.1' }) as Server
  limitConnections(server)
  servers.push(server)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    server,
    async connect() {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    },
  }
}

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

describe('connections', () => {
  test('a connection that closes aborts all of its pipelined requests', async () => {
    const signals: AbortSignal[] = []
    const { connect } = await listen(({ signal }) => {
      signals.push(signal)
      return new Promise(() => {})
    })
    const socket = await connect()
    socket.write(GET.repeat(20))
    await vi.waitFor(() => expect(signals).toHaveLength(20))
    expect(signals.filter(({ aborted }) => aborted)).toEqual([])
    socket.destroy()
    await vi.waitFor(() => expect(signals.filter(({ aborted }) => !aborted)).toEqual([]))
  })

  test('requests that were answered are not aborted when the connection closes', async () => {
    const signals: AbortSignal[] = []
    const { connect } = await listen(({ signal }) => {
      signals.push(signal)
      return new Response('x')
    })
    const socket = await connect()
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    socket.write(GET.repeat(3))
    await vi.waitFor(() => expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(3))
    const closed = once(socket, 'close')
    socket.destroy()
    await closed
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false])
  })

  test('the hundredth response has "Connection: close", and requests pipelined behind it get 503 and are not handled', async () => {
    let handled = 0
    const { connect } = await listen(() => {
      handled += 1
      return new Response('x')
    })
    const socket = await connect()
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    socket.write(GET.repeat(105))
    await vi.waitFor(() => expect(text.match(/HTTP\/1\.1 503/g)).toHaveLength(5))
    socket.destroy()
    expect(handled).toBe(100)
    const [before = '', after = ''] = text.split(/connection: close/i, 2)
    expect(before.match(/HTTP\/1\.1 200/g)).toHaveLength(100)
    expect(after).not.toContain('HTTP/1.1 200')
  })

  test('the connection is closed after the hundredth response, even if its body is not read', async () => {
    const { connect } = await listen(() => new Response('x', { status: 401 }))
    const socket = await connect()
    const put = 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}'
    let answers = 0
    socket.on('data', () => {
      answers += 1
      if (answers < 100) {
        socket.write(put)
      }
    })
    socket.write(put)
    await once(socket, 'end')
    expect(answers).toBe(100)
  })

  test('an idle connection is kept longer than by common proxies', () => {
    const server = createServer()
    limitConnections(server)
    expect(server.keepAliveTimeout).toBeGreaterThan(60_000)
  })
})
