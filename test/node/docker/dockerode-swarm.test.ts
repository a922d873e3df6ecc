// The dockerode adapter against scripted HTTP servers: what no real engine can be made to do.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  createDockerodeSwarm,
  type DockerodeSwarm,
} from '../../../src/node/docker/dockerode-swarm.ts'
import { httpLoopback, type Loopback } from '../../support/loopback.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void

const SERVICE = '{"ID":"abc","Version":{"Index":7},"Spec":{"Name":"blog","TaskTemplate":{}}}'

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
  swarm = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${engine.port}`, timeoutMs: 300 })
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await engine.close()
})

const text =
  (status: number, body: string, headers = {}): Answer =>
  (_, response) => {
    response.writeHead(status, headers).end(body)
  }

describe('inspectService', () => {
  test('asks for the service and gives what the engine said', async () => {
    answer = text(200, SERVICE)
    expect(await swarm.inspectService('blog')).toEqual(JSON.parse(SERVICE))
    expect(requests.map(({ line }) => line)).toEqual(['GET /services/blog'])
  })

  test('asks by ID once it knows it, and finds a service of the same name that came after', async () => {
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

  test('an ID that leads to a service of another name by now is not taken for the name', async () => {
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
  ])('refuses a 200 that is not a service: %j', async (body) => {
    answer = text(200, body)
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'engine-error' })
  })

  test('follows no redirect, to any host', async () => {
    answer = text(302, '', { Location: `http://127.0.0.1:1/` })
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({
      code: 'engine-error',
      message: expect.stringContaining('302'),
    })
  })

  test('gives up after the time it may take, and leaves no connection', async () => {
    answer = () => {}
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({
      code: 'engine-unreachable',
      message: expect.stringContaining('no answer within 300 ms'),
    })
    await vi.waitFor(() => expect(engine.openConnections()).toBe(0))
  })

  test('gives up on an answer that never ends', async () => {
    answer = (_, response) => response.writeHead(200).write('{"ID":')
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'engine-unreachable' })
  })

  test('gives up on an answer that Node ends without a word', async () => {
    answer = (request) =>
      request.socket.end('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'engine-unreachable' })
  })

  test('gives up on an answer that grows beyond all bounds', async () => {
    answer = (_, response) => {
      response.writeHead(200)
      const piece = Buffer.alloc(1024 * 1024, ' ')
      const more = (): void => {
        while (response.write(piece)) {}
      }
      response.on('drain', more)
      more()
    }
    const patient = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${engine.port}` })
    await expect(patient.inspectService('blog')).rejects.toMatchObject({
      message: expect.stringContaining('longer than 67108864 bytes'),
    })
    await vi.waitFor(() => expect(engine.openConnections()).toBe(0))
  })

  test('a connection that breaks in the middle of the answer is engine-unreachable', async () => {
    answer = (_, response) => {
      response.writeHead(200, { 'Content-Length': 1000 }).write('{"ID":')
      setTimeout(() => response.destroy(), 20)
    }
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'engine-unreachable' })
  })

  test('a plain text refusal is kept for the log, and not repeated to the caller', async () => {
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

  test('sends the whole spec in the body, and the version alone in the query', async () => {
    const spec = '{"Name":"blog","TaskTemplate":{"ContainerSpec":{"Image":"a","Env":["A=secret"]}}}'
    const body = await inspectAndUpdate(`{"ID":"abc","Version":{"Index":7},"Spec":${spec}}`)
    expect(body).toBe(spec)
    expect(requests.at(-1)).toMatchObject({
      line: 'POST /services/abc/update?version=7',
      type: 'application/json',
    })
  })

  test('keeps numbers that JavaScript cannot hold, and members that nobody knows', async () => {
    const spec =
      '{"Name":"blog","TaskTemplate":{"Resources":{"Limits":{"NanoCPUs":9223372036854775807}},"Future":{"x":0.10000000000000000555}},"New":18446744073709551615}'
    expect(await inspectAndUpdate(`{"ID":"a","Version":{"Index":7},"Spec":${spec}}`)).toBe(spec)
  })

  test('tells an update out of sequence from a fault', async () => {
    answer = text(200, SERVICE)
    const service = await swarm.inspectService('blog')
    answer = text(500, '{"message":"rpc error: code = Unknown desc = update out of sequence"}')
    expect(await swarm.updateService(service, service.Spec)).toBe('out-of-sequence')
  })

  test.each<[string, Answer]>([
    ['the leader is lost', text(500, '{"message":"raft: node lost leader status"}')],
    ['the connection breaks', (request) => request.socket.destroy()],
    ['there is no answer in time', () => {}],
  ])('says that the outcome is open when %s, and asks nobody to try again', async (_, broken) => {
    answer = text(200, SERVICE)
    const service = await swarm.inspectService('blog')
    answer = broken
    await expect(swarm.updateService(service, service.Spec)).rejects.toMatchObject({
      message: expect.stringContaining('it may have been written all the same'),
      retryAfterSeconds: undefined,
    })
  })

  test('says nothing of the kind when the engine was not there at all', async () => {
    answer = text(200, SERVICE)
    const service = await swarm.inspectService('blog')
    const { port } = engine
    await engine.close()
    const gone = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${port}` })
    await expect(gone.updateService(service, service.Spec)).rejects.toMatchObject({
      code: 'engine-unreachable',
      message: expect.not.stringContaining('all the same'),
    })
  })
})

describe('check', () => {
  test.each([
    [
      '{"ServerVersion":"29.0","Swarm":{"LocalNodeState":"active","ControlAvailable":true}}',
      '29.0',
    ],
  ])('gives the version of a manager', async (body, version) => {
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

test('DOCKER_HOST and its companions in the environment are not read behind the options', async () => {
  vi.stubEnv('DOCKER_HOST', 'nonsense://///')
  vi.stubEnv('DOCKER_CERT_PATH', '/nonexistent')
  answer = text(200, SERVICE)
  expect((await swarm.inspectService('blog')).ID).toBe('abc')
})

test('a call that is over leaves no timer', async () => {
  answer = text(200, SERVICE)
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  await Promise.all(Array.from({ length: 20 }, () => swarm.inspectService('blog')))
  expect(timers()).toBeLessThan(before + 10)
})

test('a dockerHost of no known form throws at construction', () => {
  expect(() => createDockerodeSwarm({ dockerHost: 'http://x' })).toThrow(TypeError)
})

test('ssh is run as Docker runs it, and ended when it says nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deployer-ssh-'))
  const script = `#!/bin/sh\necho $$ "$@" > ${folder}/started\nexec sleep 60\n`
  writeFileSync(join(folder, 'ssh'), script, { mode: 0o755 })
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
  const overSsh = createDockerodeSwarm({ dockerHost: 'ssh://me@manager:2222', timeoutMs: 500 })
  await expect(overSsh.inspectService('blog')).rejects.toMatchObject({
    message: expect.stringContaining('no answer within 500 ms'),
  })
  const [pid = '', ...args] = readFileSync(join(folder, 'started'), 'utf8').trim().split(' ')
  expect(args.join(' ')).toBe(
    '-o ConnectTimeout=30 -o BatchMode=yes -o ServerAliveInterval=15 -T -l me -p 2222 -- manager docker system dial-stdio',
  )
  await vi.waitFor(() => expect(existsSync(`/proc/${pid}`)).toBe(false))
  rmSync(folder, { recursive: true })
})

test('ssh that cannot be run for want of a file descriptor does not end the process', () => {
  const script = new URL('../../support/ssh-without-descriptors.ts', import.meta.url).pathname
  const command = `ulimit -n 120 && exec ${process.execPath} --import tsx ${script}`
  const fault = JSON.parse(execFileSync('sh', ['-c', command], { encoding: 'utf8', stdio: 'pipe' }))
  expect(fault.code).toBe('engine-unreachable')
  expect(fault.message).toMatch(/cannot run ssh \(.*EMFILE/)
})

test('a name with several addresses tells why none of them answered', async () => {
  const twice = createDockerodeSwarm({ dockerHost: 'tcp://localhost:1' })
  await expect(twice.inspectService('blog')).rejects.toMatchObject({
    message: expect.stringContaining('ECONNREFUSED'),
  })
})

test('ssh that cannot be run, or cannot get there, is engine-unreachable and tells why', async () => {
  const overSsh = createDockerodeSwarm({ dockerHost: `ssh://nobody@127.0.0.1:1` })
  await expect(overSsh.inspectService('blog')).rejects.toMatchObject({
    code: 'engine-unreachable',
    message: expect.stringMatching(/Connection refused|is it installed/),
  })
  vi.stubEnv('PATH', '/nonexistent')
  await expect(overSsh.inspectService('blog')).rejects.toMatchObject({
    message: expect.stringMatching(/cannot run ssh .*: is it installed\?/),
  })
})
