// The calls of the dockerode adapter that dockerode has no part in, against scripted engines.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createDockerodeSwarm } from '../../../src/node/docker/dockerode-swarm.ts'
import { tcpLoopback } from '../../support/loopback.ts'
import {
  headerOf,
  type ScriptedEngine,
  scriptedEngine,
  text,
} from '../../support/scripted-engine.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const IMAGE = `{"Descriptor":{"digest":"${DIGEST}"},"Platforms":[{"architecture":"amd64","os":"linux"}]}`
const SERVICE = '{"ID":"abc","Version":{"Index":7},"Spec":{"Name":"blog","TaskTemplate":{}}}'
const TASK =
  '{"ID":"t1","CreatedAt":"2026-11-24T14:30:21Z","UpdatedAt":"2026-11-24T14:30:22Z","Spec":{},"Status":{"State":"running"},"DesiredState":"running"}'
const SECRET = 'eyJwYXNzd29yZCI6InMzY3IzdCJ9'

let engine: ScriptedEngine

beforeEach(async () => {
  engine = await scriptedEngine()
})

afterEach(() => engine.close())

const lines = (): string[] => engine.requests.map(({ line }) => line)
const query = (): string => decodeURIComponent(lines()[0] ?? '')

describe('resolveImage', () => {
  test('asks for the reference and tells what the registry said', async () => {
    engine.answer = text(200, IMAGE)
    expect(await engine.swarm.resolveImage('r.io:5000/me/blog:v1')).toEqual({
      digest: DIGEST,
      platforms: [{ Architecture: 'amd64', OS: 'linux' }],
    })
    expect(lines()).toEqual(['GET /distribution/r.io%3A5000/me/blog%3Av1/json'])
    expect(headerOf(engine.requests[0]?.headers, 'X-Registry-Auth')).toBeUndefined()
  })

  test('shows credentials in the header, and nowhere else', async () => {
    engine.answer = text(401, '{"message":"unauthorized: authentication required"}')
    const fault = await engine.swarm
      .resolveImage('r.io/blog:v1', { registryAuth: SECRET })
      .catch((error: unknown) => error)
    const [request] = engine.requests
    expect(headerOf(request?.headers, 'X-Registry-Auth')).toBe(SECRET)
    expect(`${request?.line}${request?.body}`).not.toContain(SECRET)
    expect(fault).toMatchObject({ code: 'image-not-readable' })
    expect(inspected(fault)).not.toContain(SECRET)
  })

  test.each([
    ['YQ', 'YQ=='],
    ['YWI', 'YWI='],
    ['YWJj', 'YWJj'],
    ['YQ==', 'YQ=='],
    ['', ''],
  ])('credentials %j are sent as %j: an engine wants the padding', async (registryAuth, sent) => {
    engine.answer = text(200, IMAGE)
    await engine.swarm.resolveImage('r.io/blog:v1', { registryAuth })
    expect(headerOf(engine.requests[0]?.headers, 'X-Registry-Auth')).toBe(sent)
  })

  test('credentials that no header can hold are not told either', async () => {
    const fault = await engine.swarm
      .resolveImage('r.io/blog:v1', { registryAuth: `${SECRET}\n` })
      .catch((error: unknown) => error)
    expect(lines()).toEqual([])
    expect(inspected(fault)).toContain('X-Registry-Auth')
    expect(inspected(fault)).not.toContain(SECRET)
  })

  test.each(['', 'a//b', '../containers/json', 'a?b', 'a#b'])(
    '%j is never asked for',
    async (reference) => {
      await expect(engine.swarm.resolveImage(reference)).rejects.toMatchObject({
        code: 'invalid-image-reference',
      })
      expect(lines()).toEqual([])
    },
  )

  test.each(['{}', '[]', 'null', '<html>', IMAGE.replace('sha256', 'md5')])(
    'a 200 that tells no digest is engine-error: %s',
    async (body) => {
      engine.answer = text(200, body)
      await expect(engine.swarm.resolveImage('r.io/a:b')).rejects.toMatchObject({
        code: 'engine-error',
      })
    },
  )

  test('an engine that is silent waits for the registry, and the connection goes', async () => {
    await expect(engine.swarm.resolveImage('r.io/a:b')).rejects.toMatchObject({
      code: 'registry-unavailable',
      message: expect.stringContaining('no answer within 300 ms'),
    })
    await vi.waitFor(() => expect(engine.openConnections()).toBe(0))
  })

  test('it takes 12 s at most, however long other calls may take', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const dockerHost = `tcp://127.0.0.1:${engine.port}`
      const patient = createDockerodeSwarm({ dockerHost, timeoutMs: 60_000 })
      const fault = patient.resolveImage('r.io/a:b').catch((error: unknown) => error)
      await vi.waitUntil(() => lines().length === 1, { interval: 1 })
      await vi.advanceTimersByTimeAsync(12_000)
      expect(await fault).toMatchObject({ message: expect.stringContaining('within 12000 ms') })
    } finally {
      vi.useRealTimers()
    }
  })

  test('who asks for the same with the same credentials shares an answer that began after the question', async () => {
    const waiting: (() => void)[] = []
    engine.answer = (request, response) => {
      waiting.push(() => text(200, IMAGE)(request, response))
    }
    const ask = (auth?: string) =>
      engine.swarm.resolveImage('r.io/a:b', auth === undefined ? {} : { registryAuth: auth })
    const first = ask()
    await vi.waitFor(() => expect(waiting).toHaveLength(1))
    const later = [ask(), ask(), ask()]
    const others = [ask('e30='), ask('e30='), ask('bnVsbA==')]
    await vi.waitFor(() => expect(waiting).toHaveLength(3))
    waiting[0]?.()
    await first
    await vi.waitFor(() => expect(waiting).toHaveLength(4))
    for (const answer of waiting.slice(1)) {
      answer()
    }
    await Promise.all([...later, ...others])
    expect(lines()).toHaveLength(4)
  })

  test('of 400 resolutions of images of four unresponsive registries, 16 are in progress, 8 of each; others wait for 5 s or are overloaded at once, and other calls go through', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const dockerHost = `tcp://127.0.0.1:${engine.port}`
      const patient = createDockerodeSwarm({ dockerHost })
      engine.answer = (request, response) => {
        if (request.url?.startsWith('/services') === true) {
          text(200, SERVICE)(request, response)
        }
      }
      const codes: string[] = []
      const questions = Array.from({ length: 400 }, (_, n) =>
        patient
          .resolveImage(`r${Math.floor(n / 100)}.io/a:${n}`)
          .catch((error) => codes.push(error.code)),
      )
      await vi.waitUntil(() => lines().length === 16, { interval: 1 })
      expect(new Set(lines().map((line) => line.slice(0, 24))).size).toBe(2)
      expect(codes).toEqual(Array.from({ length: 112 }, () => 'overloaded'))
      await Promise.all(Array.from({ length: 64 }, () => patient.inspectService('blog')))
      await vi.advanceTimersByTimeAsync(5000)
      expect(codes).toEqual(Array.from({ length: 384 }, () => 'overloaded'))
      await vi.advanceTimersByTimeAsync(7000)
      await Promise.all(questions)
      expect(codes.slice(384)).toEqual(Array.from({ length: 16 }, () => 'registry-unavailable'))
      // Nothing is left behind: the next one is asked at once.
      void patient.resolveImage('r.io/next:1').catch(() => {})
      await vi.waitUntil(() => lines().some((line) => line.includes('next')), { interval: 1 })
      await vi.advanceTimersByTimeAsync(20_000)
    } finally {
      vi.useRealTimers()
    }
  })

  test('a caller waits 20 s at most, for a shared answer too', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const patient = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${engine.port}` })
      const first = patient.resolveImage('r.io/a:b').catch((error: unknown) => error)
      await vi.waitUntil(() => lines().length === 1, { interval: 1 })
      const second = patient.resolveImage('r.io/a:b').catch((error: unknown) => error)
      await vi.advanceTimersByTimeAsync(12_000)
      expect(await first).toMatchObject({ code: 'registry-unavailable' })
      await vi.waitUntil(() => lines().length === 2, { interval: 1 })
      await vi.advanceTimersByTimeAsync(8000)
      expect(await second).toMatchObject({ code: 'overloaded', retryAfterSeconds: 5 })
    } finally {
      vi.useRealTimers()
    }
  })

  test('50 images of one registry at once are all resolved', async () => {
    engine.answer = (request, response) => {
      setTimeout(() => text(200, IMAGE)(request, response), 20)
    }
    const patient = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${engine.port}` })
    const resolutions = Array.from({ length: 50 }, (_, n) => patient.resolveImage(`r.io/a:${n}`))
    expect(await Promise.all(resolutions)).toHaveLength(50)
  })

  test('an engine that is not there is engine-unreachable', async () => {
    await engine.close()
    await expect(engine.swarm.resolveImage('r.io/a:b')).rejects.toMatchObject({
      code: 'engine-unreachable',
    })
  })

  test('an engine that breaks off is engine-unreachable', async () => {
    engine.answer = (request) => request.socket.destroy()
    await expect(engine.swarm.resolveImage('r.io/a:b')).rejects.toMatchObject({
      code: 'engine-unreachable',
    })
  })
})

describe('updateService', () => {
  const update = async (credentials?: { registryAuth?: string }): Promise<readonly string[]> => {
    engine.answer = text(200, SERVICE)
    const service = await engine.swarm.inspectService('blog')
    engine.answer = text(200, '{"Warnings":null}')
    await engine.swarm.updateService(service, service.Spec, credentials)
    const { line, headers, body } = engine.requests.at(-1) ?? { headers: [] }
    expect([line, body]).toEqual([
      'POST /services/abc/update?version=7',
      '{"Name":"blog","TaskTemplate":{}}',
    ])
    return headers
  }

  test('hands credentials on in the header, and nowhere else', async () => {
    expect(headerOf(await update({ registryAuth: SECRET }), 'X-Registry-Auth')).toBe(SECRET)
  })

  test.each([undefined, {}])('sends none when there are none: %j', async (credentials) => {
    expect(headerOf(await update(credentials), 'X-Registry-Auth')).toBeUndefined()
  })
})

describe('listServices', () => {
  test('asks by label', async () => {
    engine.answer = text(200, `[${SERVICE}]`)
    const services = await engine.swarm.listServices('deployer.allowUpdates=true&x')
    expect(services).toEqual([JSON.parse(SERVICE)])
    expect(query()).toBe('GET /services?filters={"label":["deployer.allowUpdates=true&x"]}')
  })

  test.each(['{}', 'null', '[null]', `[${SERVICE},{}]`, '"text"'])(
    'a 200 that is no list of services is engine-error: %s',
    async (body) => {
      engine.answer = text(200, body)
      await expect(engine.swarm.listServices('a=b')).rejects.toMatchObject({ code: 'engine-error' })
    },
  )

  test('refusals are told as of any other call', async () => {
    engine.answer = text(503, '{"message":"This node is not a swarm manager. …"}')
    await expect(engine.swarm.listServices('a=b')).rejects.toMatchObject({ code: 'not-a-manager' })
  })
})

describe('listTasks', () => {
  test('asks by service', async () => {
    engine.answer = text(200, `[${TASK}]`)
    expect(await engine.swarm.listTasks('abc')).toEqual([JSON.parse(TASK)])
    expect(query()).toBe('GET /tasks?filters={"service":["abc"]}')
  })

  test('a service that is not there has none', async () => {
    engine.answer = text(404, '{"message":"service abc not found"}')
    expect(await engine.swarm.listTasks('abc')).toEqual([])
  })

  test('another 404 is engine-error', async () => {
    engine.answer = text(404, '404 page not found')
    await expect(engine.swarm.listTasks('abc')).rejects.toMatchObject({ code: 'engine-error' })
  })

  test.each([
    '{}',
    '[7]',
    `[${SERVICE}]`,
    ...[
      '"ID"',
      '"CreatedAt"',
      '"UpdatedAt"',
      '"Spec"',
      '"Status"',
      '"State"',
      '"DesiredState"',
    ].map((member) => `[${TASK.replace(member, '"x"')}]`),
  ])('a 200 that is no list of tasks is engine-error: %s', async (body) => {
    engine.answer = text(200, body)
    await expect(engine.swarm.listTasks('abc')).rejects.toMatchObject({ code: 'engine-error' })
  })
})

describe('listNodes', () => {
  test('tells the nodes', async () => {
    engine.answer = text(200, '[{"ID":"n1","Spec":{"Availability":"active"}}]')
    expect(await engine.swarm.listNodes()).toEqual([{ ID: 'n1', Spec: { Availability: 'active' } }])
    expect(lines()).toEqual(['GET /nodes'])
  })

  test.each(['{}', '[{}]', '[null]'])(
    'a 200 that is no list of nodes is engine-error: %s',
    async (body) => {
      engine.answer = text(200, body)
      await expect(engine.swarm.listNodes()).rejects.toMatchObject({ code: 'engine-error' })
    },
  )
})

describe('now', () => {
  test("is the engine's clock by the answers so far", async () => {
    const ahead = new Date(Date.now() + 3_600_000)
    expect(Math.abs(engine.swarm.now() - Date.now())).toBeLessThan(100)
    engine.answer = text(200, '[]', { Date: ahead.toUTCString() })
    await engine.swarm.listNodes()
    expect(Math.abs(engine.swarm.now() - ahead.getTime())).toBeLessThan(2000)
  })

  test('a refusal tells the time too', async () => {
    const behind = new Date(Date.now() - 3_600_000)
    engine.answer = text(500, '', { Date: behind.toUTCString() })
    await engine.swarm.listNodes().catch(() => {})
    expect(Math.abs(engine.swarm.now() - behind.getTime())).toBeLessThan(2000)
  })

  test('it stays as it is without a date', async () => {
    const loopback = await tcpLoopback((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]'))
    })
    const swarm = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${loopback.port}` })
    expect(await swarm.listNodes()).toEqual([])
    expect(Math.abs(swarm.now() - Date.now())).toBeLessThan(100)
    await loopback.close()
  })
})

/** All that a log could tell of an error. */
function inspected(error: unknown): string {
  return error instanceof Error
    ? `${error.stack} ${JSON.stringify({ ...error })} ${inspected(error.cause)}`
    : String(error)
}
