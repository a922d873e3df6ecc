// The dockerode adapter on scripted HTTP servers, for situations that a real engine cannot produce.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  createDockerodeSwarm,
  type DockerodeSwarm,
} from '../../../src/node/docker/dockerode-swarm.ts'
import { httpLoopback, type Loopback } from '../../support/loopback.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void

const SERVICE = '{"ID":"abc","Version":{"Index":7},"Spec":{"Name":"blog","TaskTemplate":{}}}'

// Long enough for a busy machine; a test that waits for the timeout sets a short one.
const TIMEOUT_MS = 60_000

let engine: Loopback
let swarm: DockerodeSwarm
let answer: Answer
let requests: { line: string; body: string; type: string | undefined }[]

beforeEach(async () => {
  requests = []
  engine = await httpLoopback(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) {
      chunks.push(chunk)
    }
    const body = Buffer.concat(chunks).toString()
    const type = request.headers['content-type']
    requests.push({ line: `${request.method} ${request.url}`, body, type })
    answer(request, response, body)
  })
  swarm = swarmWithTimeout(TIMEOUT_MS)
})

afterEach(async () => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  await engine.close()
})

function swarmWithTimeout(timeoutMs: number): DockerodeSwarm {
  return createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${engine.port}`, timeoutMs })
}

const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 30_000 })

const text =
  (status: number, body: string, headers = {}): Answer =>
  (_, response) => {
    response.writeHead(status, headers).end(body)
  }

describe('inspectService', () => {
  test('requests the service and returns the response', async () => {
    answer = text(200, SERVICE)
    expect(await swarm.inspectService('blog')).toEqual(JSON.parse(SERVICE))
    expect(requests.map(({ line }) => line)).toEqual(['GET /services/blog'])
  })

  test('requests by cached ID, and by name again once another service has the name', async () => {
    const service = (ID: string): string => SERVICE.replace('abc', ID)
    let current = 'abc'
    answer = (request, response) => {
      const isFound = request.url === '/services/blog' || request.url === `/services/${current}`
      response.writeHead(isFound ? 200 : 404)
      response.end(isFound ? service(current) : '{"message":"service abc not found"}')
    }
    await swarm.inspectService('blog')
    await swarm.inspectService('blog')
    current = 'xyz'
    expect((await swarm.inspectService('blog')).ID).toBe('xyz')
    expect(requests.map(({ line }) => line.split('/').at(-1))).toEqual([
      'blog',
      'abc',
      'abc',
      'blog',
    ])
  })

  test('does not use a cached ID whose service has another name by now', async () => {
    answer = text(200, SERVICE)
    await swarm.inspectService('blog')
    answer = text(200, SERVICE.replace('blog', 'other'))
    await swarm.inspectService('blog')
    expect(requests.map(({ line }) => line.split('/').at(-1))).toEqual(['blog', 'abc', 'blog'])
  })

  test.each([
    '<html>',
    '',
    'null',
    '[]',
    '{"ID":"abc"}',
    '{"ID":"a","Version":{},"Spec":{"Name":"b","TaskTemplate":{}}}',
  ])('rejects a 200 that is not a service: %j', async (body) => {
    answer = text(200, body)
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'engine-error' })
  })

  test('does not follow redirects', async () => {
    answer = text(302, '', { Location: `http://127.0.0.1:1/` })
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({
      code: 'engine-error',
      message: expect.stringContaining('302'),
    })
  })

  test('rejects after the timeout, and closes the connection', async () => {
    answer = () => {}
    await expect(swarmWithTimeout(300).inspectService('blog')).rejects.toMatchObject({
      code: 'engine-unreachable',
      message: expect.stringContaining('no answer within 300 ms'),
    })
    await eventually(() => expect(engine.openConnections()).toBe(0))
  })

  test('rejects if the response never ends', async () => {
    answer = (_, response) => response.writeHead(200).write('{"ID":')
    await expect(swarmWithTimeout(300).inspectService('blog')).rejects.toMatchObject({
      code: 'engine-unreachable',
    })
  })

  test('rejects if Node reports the end of a response as a closed request only', async () => {
    answer = (request) =>
      request.socket.end('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'engine-unreachable' })
  })

  test('rejects if the response is longer than 64 MiB, and closes the connection', async () => {
    answer = (_, response) => {
      response.writeHead(200)
      const piece = Buffer.alloc(1024 * 1024, ' ')
      const sendMore = (): void => {
        while (response.write(piece)) {}
      }
      response.on('drain', sendMore)
      sendMore()
    }
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({
      message: expect.stringContaining('longer than 67108864 bytes'),
    })
    await eventually(() => expect(engine.openConnections()).toBe(0))
  })

  test('a connection that breaks in the middle of the answer is engine-unreachable', async () => {
    answer = (_, response) => {
      response.writeHead(200, { 'Content-Length': 1000 }).write('{"ID":')
      setTimeout(() => response.destroy(), 20)
    }
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'engine-unreachable' })
  })

  test('keeps a plain text error response in the cause, and out of the message', async () => {
    answer = text(400, 'client version 1.12 is too old')
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({
      message: expect.not.stringContaining('client version 1.12 is too old'),
      cause: expect.objectContaining({ message: 'client version 1.12 is too old' }),
    })
  })
})

describe('updateService', () => {
  const inspectAndUpdate = async (body: string): Promise<string> => {
    answer = text(200, body)
    const service = await swarm.inspectService('blog')
    answer = text(200, '{"Warnings":null}')
    await swarm.updateService(service, service.Spec)
    return requests.at(-1)?.body ?? ''
  }

  test('sends the whole spec in the body, and only the version in the query', async () => {
    const spec = '{"Name":"blog","TaskTemplate":{"ContainerSpec":{"Image":"a","Env":["A=secret"]}}}'
    const body = await inspectAndUpdate(`{"ID":"abc","Version":{"Index":7},"Spec":${spec}}`)
    expect(body).toBe(spec)
    expect(requests.at(-1)).toMatchObject({
      line: 'POST /services/abc/update?version=7',
      type: 'application/json',
    })
  })

  test('keeps numbers that JavaScript cannot represent, and unknown members', async () => {
    const spec =
      '{"Name":"blog","TaskTemplate":{"Resources":{"Limits":{"NanoCPUs":9223372036854775807}},"Future":{"x":0.10000000000000000555}},"New":18446744073709551615}'
    expect(await inspectAndUpdate(`{"ID":"a","Version":{"Index":7},"Spec":${spec}}`)).toBe(spec)
  })

  test('returns out-of-sequence if the service has changed since it was inspected', async () => {
    answer = text(200, SERVICE)
    const service = await swarm.inspectService('blog')
    answer = text(500, '{"message":"rpc error: code = Unknown desc = update out of sequence"}')
    expect(await swarm.updateService(service, service.Spec)).toBe('out-of-sequence')
  })

  test.each<[string, Answer]>([
    ['the leader is lost', text(500, '{"message":"raft: node lost leader status"}')],
    ['the connection breaks', (request) => request.socket.destroy()],
    ['there is no response before the timeout', () => void vi.advanceTimersByTimeAsync(TIMEOUT_MS)],
  ])('reports that the outcome is uncertain if %s, without Retry-After', async (_, broken) => {
    answer = text(200, SERVICE)
    const service = await swarm.inspectService('blog')
    answer = broken
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await expect(swarm.updateService(service, service.Spec)).rejects.toMatchObject({
      message: expect.stringContaining('the update may have been applied nevertheless'),
      retryAfterSeconds: undefined,
      notApplied: false,
    })
  })

  test.each<[status: number, what: string, body: string, notApplied: boolean]>([
    [400, 'the engine', '{"message":"ContainerSpec: image reference must be provided"}', true],
    [404, 'the engine', '{"message":"service blog not found"}', true],
    [409, 'the engine', '{"message":"name conflicts with an existing object"}', true],
    [500, 'the engine', '{"message":"rpc error: code = Unknown desc = anything"}', false],
    [503, 'the engine', '{"message":"This node is not a swarm manager"}', false],
    [200, 'another server', '<html>', false],
    [404, 'a proxy', '<html>', false],
    [499, 'a proxy', '', false],
  ])(
    'an answer %i of %s: the error states whether the update is known not to be applied',
    async (status, _, body, notApplied) => {
      answer = text(200, SERVICE)
      const service = await swarm.inspectService('blog')
      answer = text(status, body)
      await expect(swarm.updateService(service, service.Spec)).rejects.toMatchObject({ notApplied })
    },
  )

  test('does not report an uncertain outcome if no connection was established', async () => {
    answer = text(200, SERVICE)
    const service = await swarm.inspectService('blog')
    const { port } = engine
    await engine.close()
    const unreachable = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${port}` })
    await expect(unreachable.updateService(service, service.Spec)).rejects.toMatchObject({
      code: 'engine-unreachable',
      message: expect.not.stringContaining('nevertheless'),
      notApplied: true,
    })
  })
})

describe('check', () => {
  test.each([
    [
      '{"ServerVersion":"29.0","Swarm":{"LocalNodeState":"active","ControlAvailable":true}}',
      '29.0',
    ],
  ])('returns the version of a manager', async (body, version) => {
    answer = text(200, body)
    expect(await swarm.check()).toBe(version)
  })

  test.each([
    ['{"Swarm":{"LocalNodeState":"locked"}}', 'swarm-locked'],
    ['{"Swarm":{"LocalNodeState":"inactive","ControlAvailable":false}}', 'not-a-manager'],
    ['{"Swarm":{"LocalNodeState":"active","ControlAvailable":false}}', 'not-a-manager'],
  ])('rejects for %s', async (body, code) => {
    answer = text(200, body)
    await expect(swarm.check()).rejects.toMatchObject({ code })
  })
})

test('environment variables such as DOCKER_HOST are ignored', async () => {
  vi.stubEnv('DOCKER_HOST', 'nonsense://///')
  vi.stubEnv('DOCKER_CERT_PATH', '/nonexistent')
  answer = text(200, SERVICE)
  expect((await swarm.inspectService('blog')).ID).toBe('abc')
})

test('a finished call leaves no timer', async () => {
  answer = text(200, SERVICE)
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  await Promise.all(Array.from({ length: 20 }, () => swarm.inspectService('blog')))
  expect(timers()).toBeLessThan(before + 10)
})

test('an unknown option throws when the swarm is created', () => {
  const options: object = { dockerhost: 'unix:///run/docker.sock' }
  expect(() => createDockerodeSwarm(options)).toThrow(/`dockerhost`.*`dockerHost`/)
})

test.each([0, -1, Number.NaN, 2 ** 31])(
  'timeoutMs %d throws when the swarm is created',
  (timeoutMs) => {
    expect(() => createDockerodeSwarm({ timeoutMs })).toThrow(RangeError)
  },
)

test('a dockerHost of unknown form throws when the swarm is created', () => {
  expect(() => createDockerodeSwarm({ dockerHost: 'http://x' })).toThrow(TypeError)
})

test('ssh has the arguments of the Docker CLI, and is ended after the timeout', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deployer-ssh-'))
  const script = `#!/bin/sh\necho $$ "$@" > ${folder}/started && mv ${folder}/started ${folder}/arguments\nexec sleep 60\n`
  writeFileSync(join(folder, 'ssh'), script, { mode: 0o755 })
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
  const overSsh = createDockerodeSwarm({ dockerHost: 'ssh://me@manager:2222', timeoutMs: 500 })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const error = overSsh.inspectService('blog').catch((reason: unknown) => reason)
  while (!existsSync(join(folder, 'arguments'))) {
    await nextTurn()
  }
  await vi.advanceTimersByTimeAsync(500)
  expect(await error).toMatchObject({ message: expect.stringContaining('no answer within 500 ms') })
  vi.useRealTimers()
  const [pid = '', ...args] = readFileSync(join(folder, 'arguments'), 'utf8').trim().split(' ')
  expect(args.join(' ')).toBe(
    '-o ConnectTimeout=30 -o BatchMode=yes -o ServerAliveInterval=15 -T -l me -p 2222 -- manager docker system dial-stdio',
  )
  await eventually(() => expect(existsSync(`/proc/${pid}`)).toBe(false))
  rmSync(folder, { recursive: true })
})

test('without a free file descriptor, ssh fails and the process goes on', () => {
  const script = new URL('../../support/ssh-without-descriptors.ts', import.meta.url).pathname
  const command = `ulimit -n 120 && exec ${process.execPath} --import tsx ${script}`
  const error = JSON.parse(execFileSync('sh', ['-c', command], { encoding: 'utf8', stdio: 'pipe' }))
  expect(error.code).toBe('engine-unreachable')
  expect(error.message).toMatch(/cannot run ssh \(.*EMFILE/)
})

test('the error for a host name with several addresses contains the reason', async () => {
  const twice = createDockerodeSwarm({ dockerHost: 'tcp://localhost:1' })
  await expect(twice.inspectService('blog')).rejects.toMatchObject({
    message: expect.stringContaining('ECONNREFUSED'),
  })
})

test('an ssh that is not installed or cannot connect is engine-unreachable, with the reason', async () => {
  const overSsh = createDockerodeSwarm({ dockerHost: `ssh://nobody@127.0.0.1:1` })
  await expect(overSsh.inspectService('blog')).rejects.toMatchObject({
    code: 'engine-unreachable',
    message: expect.stringMatching(/Connection refused|is installed/),
  })
  vi.stubEnv('PATH', '/nonexistent')
  await expect(overSsh.inspectService('blog')).rejects.toMatchObject({
    message: expect.stringMatching(/cannot run ssh .*; check that ssh is installed/),
  })
})
