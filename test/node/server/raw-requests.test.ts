// Requests as bytes on a connection: HTTP/1.0 without a Host header, and tokens beyond ASCII.

import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { deploymentId } from '../../../src/deployment/deployment.ts'
import { curl } from '../../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../../support/deployer-process.ts'

// Starting a process takes long on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const opened: DeployerProcess[] = []
afterEach(() => {
  for (const deployer of opened.splice(0)) {
    deployer.kill('SIGKILL')
  }
})

async function start(env: Readonly<Record<string, string>>): Promise<string> {
  const deployer = startDeployer({ env: { DOCKER_HOST: 'unix:///nonexistent', ...env } })
  opened.push(deployer)
  return deployer.url()
}

/** Sends bytes, and reads until the connection closes. */
async function send(url: string, request: string, encoding?: BufferEncoding): Promise<string> {
  const { hostname, port } = new URL(url)
  const host = hostname === '0.0.0.0' ? '127.0.0.1' : hostname.replaceAll(/[[\]]/g, '')
  const socket = connect({ host: host === '::' ? '::1' : host, port: Number(port) })
  let answer = ''
  socket.setEncoding('utf8').on('data', (data) => {
    answer += data
  })
  socket.write(request, encoding)
  await once(socket, 'close')
  return answer
}

/** A response without the parts that depend on the time or the version of HTTP. */
function comparable(answer: string): string {
  return answer
    .replace(/^(?:date|keep-alive|transfer-encoding|connection): .*\r\n/gim, '')
    .replace(/\r\n\r\n[0-9a-f]+\r\n([\s\S]*)\r\n0\r\n\r\n$/, '\r\n\r\n$1')
}

test.each([':0', '127.0.0.1:0', '[::1]:0'])(
  'HTTP/1.0 without a Host header is answered like HTTP/1.1, on BIND %s',
  async (BIND) => {
    const url = await start({ TOKEN: 'x', BIND, BASE_PATH: '/cd' })
    const id = deploymentId({
      ...{ service: 'blog', serviceId: 'a'.repeat(25), versionIndex: 1, forceUpdate: '0' },
      ...{ image: 'a:1', resolved: 'a:1', previous: 'a:1', unwritten: 'unchanged' },
      startedAt: '2026-11-24T14:00:00.000Z',
    })
    const answers = [
      [`/deployments/${id}`, 200],
      ['/services', 503],
      ['/nowhere', 404],
    ] as const
    for (const [path, status] of answers) {
      const headers = 'Authorization: Bearer x\r\nConnection: close\r\n\r\n'
      const old = await send(url, `GET ${path} HTTP/1.0\r\n${headers}`)
      const current = await send(url, `GET ${path} HTTP/1.1\r\nHost: deployer\r\n${headers}`)
      expect(old).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(comparable(old)).toBe(comparable(current))
      const location = /^location: (.*)\r$/im.exec(old)?.[1]
      expect(location).toBe(status === 200 ? `/cd/deployments/${id}` : undefined)
    }
  },
)

test('a token with non-ASCII letters, spaces and punctuation is accepted as curl sends it', async () => {
  // The last byte of the UTF-8 text is 0xa0, a space in Latin-1, and 0x85 is a control character.
  const TOKEN = `Zoë's "tök,en"; Å 日本 à`
  const url = await start({ TOKEN })
  for (const header of [TOKEN, `Bearer ${TOKEN}`]) {
    const { status, body } = await curl('-H', `Authorization: ${header}`, `${url}/services`)
    expect([header, status, body.code]).toEqual([header, 503, 'engine-unreachable'])
    const request = `GET /services HTTP/1.0\r\nAuthorization: ${header}\r\n\r\n`
    expect(await send(url, request, 'utf8')).toContain('engine-unreachable')
    expect(await send(url, request, 'latin1')).toContain('invalid-token')
  }
})

test('a token of 15 KiB is accepted; a longer one is refused at startup, because Node would respond with 431', async () => {
  const TOKEN = 'x'.repeat(15 * 1024)
  const url = await start({ TOKEN })
  const { body } = await curl('-H', `Authorization: Bearer ${TOKEN}`, `${url}/services`)
  expect(body.code).toBe('engine-unreachable')
  const longer = await send(url, `GET / HTTP/1.0\r\nAuthorization: ${TOKEN}${TOKEN}\r\n\r\n`)
  expect(longer).toContain('431')
})
