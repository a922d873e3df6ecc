import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { checkHealth } from '../../src/node/health-check.ts'
import { httpLoopback, type Loopback, tcpLoopback } from '../support/loopback.ts'

const opened: Loopback[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) {
    await server.close()
  }
})

async function serve(status: number): Promise<{ readonly port: number; readonly paths: string[] }> {
  const paths: string[] = []
  const server = await httpLoopback(({ url = '' }, response) => {
    paths.push(url)
    response.writeHead(status, { Location: '/elsewhere' }).end('x')
  })
  opened.push(server)
  return { port: server.port, paths }
}

test.each(['127.0.0.1', 'localhost', '', '0.0.0.0', '0', '::', '0:0:0:0:0:0:0:0', '::0'])(
  'a Deployer that listens at host "%s" is healthy if the response is 200',
  async (host) => {
    const { port, paths } = await serve(200)
    expect(await checkHealth({ host, port })).toBeUndefined()
    expect(paths).toEqual(['/healthz'])
  },
)

test.each(['::1', '::'])(
  'a server that listens at the IPv6 address %s is reached',
  async (host) => {
    const server = createServer((_, response) => response.end('ok'))
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    const { port } = server.address() as AddressInfo
    expect(await checkHealth({ host, port })).toBeUndefined()
    server.close()
  },
)

test.each([204, 302, 404, 503])('a response with status %i is a failure', async (status) => {
  const { port, paths } = await serve(status)
  expect(await checkHealth({ host: '', port })).toBe(
    `GET http://127.0.0.1:${port}/healthz returned status ${status} instead of 200`,
  )
  expect(paths).toEqual(['/healthz'])
})

test('a server that does not respond is a failure after the timeout', async () => {
  const server = await tcpLoopback(() => {})
  opened.push(server)
  expect(await checkHealth({ host: '', port: server.port }, { timeoutMs: 50 })).toBe(
    `GET http://127.0.0.1:${server.port}/healthz was not answered within 0.05 s`,
  )
})

test('a port that is not open is a failure', async () => {
  const { port, close } = await tcpLoopback(() => {})
  await close()
  expect(await checkHealth({ host: '0.0.0.0', port })).toBe(
    `GET http://127.0.0.1:${port}/healthz failed: connect ECONNREFUSED 127.0.0.1:${port}`,
  )
})

test('port 0 is a failure, because the real port is unknown', async () => {
  expect(await checkHealth({ host: '', port: 0 })).toMatch(/^BIND has port 0/)
})
