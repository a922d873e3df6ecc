// The calls that the adapter makes without dockerode, to scripted engines.

import { setImmediate as nextTurn } from 'node:timers/promises'
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
const HOUR_MS = 3_600_000
const SECRET = 'eyJwYXNzd29yZCI6InMzY3IzdCJ9'

let engine: ScriptedEngine

beforeEach(async () => {
  engine = await scriptedEngine()
})

afterEach(() => engine.close())

/** Waits without a timer, so that it does not move fake time. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) {
    await nextTurn()
  }
}

const lines = (): string[] => engine.requests.map(({ line }) => line)
const query = (): string => decodeURIComponent(lines()[0] ?? '')

describe('resolveImage', () => {
  test('requests the reference, and returns digest and platforms', async () => {
    engine.answer = text(200, IMAGE)
    expect(await engine.swarm.resolveImage('r.io:5000/me/blog:v1')).toEqual({
      digest: DIGEST,
      platforms: [{ Architecture: 'amd64', OS: 'linux' }],
    })
    expect(lines()).toEqual(['GET /distribution/r.io%3A5000/me/blog%3Av1/json'])
    expect(headerOf(engine.requests[0]?.headers, 'X-Registry-Auth')).toBeUndefined()
  })

  test('sends credentials in the header only', async () => {
    engine.answer = text(401, '{"message":"unauthorized: authentication required"}')
    const error = await engine.swarm
      .resolveImage('r.io/blog:v1', { registryAuth: SECRET })
      .catch((reason: unknown) => reason)
    const [request] = engine.requests
    expect(headerOf(request?.headers, 'X-Registry-Auth')).toBe(SECRET)
    expect(`${request?.line}${request?.body}`).not.toContain(SECRET)
    expect(error).toMatchObject({ code: 'image-not-readable' })
    expect(everythingIn(error)).not.toContain(SECRET)
  })

  test.each([
    ['YQ', 'YQ=='],
    ['YWI', 'YWI='],
    ['YWJj', 'YWJj'],
    ['YQ==', 'YQ=='],
    ['', ''],
  ])(
    'credentials %j are sent as %j, with padding, which the engine requires',
    async (registryAuth, sent) => {
      engine.answer = text(200, IMAGE)
      await engine.swarm.resolveImage('r.io/blog:v1', { registryAuth })
      expect(headerOf(engine.requests[0]?.headers, 'X-Registry-Auth')).toBe(sent)
    },
  )

  test('an error does not contain credentials that are not valid in a header', async () => {
    const error = await engine.swarm
      .resolveImage('r.io/blog:v1', { registryAuth: `${SECRET}\n` })
      .catch((reason: unknown) => reason)
    expect(lines()).toEqual([])
    expect(everythingIn(error)).toContain('X-Registry-Auth')
    expect(everythingIn(error)).not.toContain(SECRET)
  })

  test.each(['', 'a//b', '../containers/json', 'a?b', 'a#b'])(
    'the reference %j is refused without a request',
    async (reference) => {
      await expect(engine.swarm.resolveImage(reference)).rejects.toMatchObject({
        code: 'invalid-image-reference',
      })
      expect(lines()).toEqual([])
    },
  )

  test.each(['{}', '[]', 'null', '<html>', IMAGE.replace('sha256', 'md5')])(
    'a 200 without a digest is engine-error: %s',
    async (body) => {
      engine.answer = text(200, body)
      await expect(engine.swarm.resolveImage('r.io/a:b')).rejects.toMatchObject({
        code: 'engine-error',
      })
    },
  )

  test('an engine that does not respond within 12 s waits for the registry; the connection is closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const dockerHost = `tcp://127.0.0.1:${engine.port}`
      const swarm = createDockerodeSwarm({ dockerHost, timeoutMs: 60_000 })
      const error = swarm.resolveImage('r.io/a:b').catch((reason: unknown) => reason)
      await until(() => lines().length === 1)
      await vi.advanceTimersByTimeAsync(12_000)
      expect(await error).toMatchObject({
        code: 'registry-unavailable',
        message: expect.stringContaining('no answer within 12000 ms'),
      })
      await until(() => engine.openConnections() === 0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('callers with the same reference and credentials share a request that starts after their calls', async () => {
    const waiting: (() => void)[] = []
    engine.answer = (request, response) => {
      waiting.push(() => text(200, IMAGE)(request, response))
    }
    const resolve = (auth?: string) =>
      engine.swarm.resolveImage('r.io/a:b', auth === undefined ? {} : { registryAuth: auth })
    const first = resolve()
    await until(() => waiting.length === 1)
    const later = [resolve(), resolve(), resolve()]
    const others = [resolve('e30='), resolve('e30='), resolve('bnVsbA==')]
    await until(() => waiting.length === 3)
    waiting[0]?.()
    await first
    await until(() => waiting.length === 4)
    for (const answer of waiting.slice(1)) {
      answer()
    }
    await Promise.all([...later, ...others])
    expect(lines()).toHaveLength(4)
  })

  test('of 400 resolutions in four unresponsive registries, 8 per registry and 16 in total run; the others fail with overloaded, at once or after 5 s; other calls are not delayed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const dockerHost = `tcp://127.0.0.1:${engine.port}`
      const swarm = createDockerodeSwarm({ dockerHost })
      engine.answer = (request, response) => {
        if (request.url?.startsWith('/services') === true) {
          text(200, SERVICE)(request, response)
        }
      }
      const codes: string[] = []
      const resolutions = Array.from({ length: 400 }, (_, n) =>
        swarm
          .resolveImage(`r${Math.floor(n / 100)}.io/a:${n}`)
          .catch((error) => codes.push(error.code)),
      )
      await until(() => lines().length === 16)
      expect(new Set(lines().map((line) => line.slice(0, 24))).size).toBe(2)
      expect(codes).toEqual(Array.from({ length: 112 }, () => 'overloaded'))
      await Promise.all(Array.from({ length: 64 }, () => swarm.inspectService('blog')))
      await vi.advanceTimersByTimeAsync(5000)
      expect(codes).toEqual(Array.from({ length: 384 }, () => 'overloaded'))
      await vi.advanceTimersByTimeAsync(7000)
      await Promise.all(resolutions)
      expect(codes.slice(384)).toEqual(Array.from({ length: 16 }, () => 'registry-unavailable'))
      // No place in the pool is lost: the next request is sent at once.
      void swarm.resolveImage('r.io/next:1').catch(() => {})
      await until(() => lines().some((line) => line.includes('next')))
      await vi.advanceTimersByTimeAsync(20_000)
    } finally {
      vi.useRealTimers()
    }
  })

  test('a caller waits for at most 20 s, also for a shared request', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const swarm = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${engine.port}` })
      const first = swarm.resolveImage('r.io/a:b').catch((reason: unknown) => reason)
      await until(() => lines().length === 1)
      const second = swarm.resolveImage('r.io/a:b').catch((error: unknown) => error)
      await vi.advanceTimersByTimeAsync(12_000)
      expect(await first).toMatchObject({ code: 'registry-unavailable' })
      await until(() => lines().length === 2)
      await vi.advanceTimersByTimeAsync(8000)
      expect(await second).toMatchObject({ code: 'overloaded', retryAfterSeconds: 5 })
    } finally {
      vi.useRealTimers()
    }
  })

  test('50 images of one registry are resolved at the same time', async () => {
    engine.answer = (request, response) => {
      setTimeout(() => text(200, IMAGE)(request, response), 20)
    }
    const swarm = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${engine.port}` })
    const resolutions = Array.from({ length: 50 }, (_, n) => swarm.resolveImage(`r.io/a:${n}`))
    expect(await Promise.all(resolutions)).toHaveLength(50)
  })

  test('an engine that cannot be reached is engine-unreachable', async () => {
    await engine.close()
    await expect(engine.swarm.resolveImage('r.io/a:b')).rejects.toMatchObject({
      code: 'engine-unreachable',
    })
  })

  test('an engine that closes the connection is engine-unreachable', async () => {
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

  test('sends credentials in the header only', async () => {
    expect(headerOf(await update({ registryAuth: SECRET }), 'X-Registry-Auth')).toBe(SECRET)
  })

  test.each([undefined, {}])('sends no header without credentials: %j', async (credentials) => {
    expect(headerOf(await update(credentials), 'X-Registry-Auth')).toBeUndefined()
  })
})

describe('listServices', () => {
  test('requests services by label', async () => {
    engine.answer = text(200, `[${SERVICE}]`)
    const services = await engine.swarm.listServices('deployer.allowUpdates=true&x')
    expect(services).toEqual([JSON.parse(SERVICE)])
    expect(query()).toBe('GET /services?filters={"label":["deployer.allowUpdates=true&x"]}')
  })

  test.each(['{}', 'null', '[null]', `[${SERVICE},{}]`, '"text"'])(
    'a 200 that is not a list of services is engine-error: %s',
    async (body) => {
      engine.answer = text(200, body)
      await expect(engine.swarm.listServices('a=b')).rejects.toMatchObject({ code: 'engine-error' })
    },
  )

  test('errors are mapped as those of other calls', async () => {
    engine.answer = text(503, '{"message":"This node is not a swarm manager. …"}')
    await expect(engine.swarm.listServices('a=b')).rejects.toMatchObject({ code: 'not-a-manager' })
  })
})

describe('listTasks', () => {
  test('requests tasks by service', async () => {
    engine.answer = text(200, `[${TASK}]`)
    expect(await engine.swarm.listTasks('abc')).toEqual([JSON.parse(TASK)])
    expect(query()).toBe('GET /tasks?filters={"service":["abc"]}')
  })

  test('a service that does not exist has no tasks', async () => {
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
  ])('a 200 that is not a list of tasks is engine-error: %s', async (body) => {
    engine.answer = text(200, body)
    await expect(engine.swarm.listTasks('abc')).rejects.toMatchObject({ code: 'engine-error' })
  })
})

describe('listNodes', () => {
  test('returns the nodes', async () => {
    engine.answer = text(200, '[{"ID":"n1","Spec":{"Availability":"active"}}]')
    expect(await engine.swarm.listNodes()).toEqual([{ ID: 'n1', Spec: { Availability: 'active' } }])
    expect(lines()).toEqual(['GET /nodes'])
  })

  test.each(['{}', '[{}]', '[null]'])(
    'a 200 that is not a list of nodes is engine-error: %s',
    async (body) => {
      engine.answer = text(200, body)
      await expect(engine.swarm.listNodes()).rejects.toMatchObject({ code: 'engine-error' })
    },
  )
})

function expectBetween(value: number, min: number, max: () => number): void {
  expect(value).toBeGreaterThanOrEqual(min)
  expect(value).toBeLessThanOrEqual(max())
}

describe('now', () => {
  test("follows the engine's clock in its responses", async () => {
    const ahead = new Date(Date.now() + HOUR_MS)
    expectBetween(engine.swarm.now(), ahead.getTime() - HOUR_MS, () => Date.now())
    engine.answer = text(200, '[]', { Date: ahead.toUTCString() })
    await engine.swarm.listNodes()
    expectBetween(engine.swarm.now(), ahead.getTime() - 999, () => Date.now() + HOUR_MS)
  })

  test('follows the clock in error responses too', async () => {
    const behind = new Date(Date.now() - HOUR_MS)
    engine.answer = text(500, '', { Date: behind.toUTCString() })
    await engine.swarm.listNodes().catch(() => {})
    expectBetween(engine.swarm.now(), behind.getTime(), () => Date.now() - HOUR_MS + 999)
  })

  test('is the local clock if responses have no date', async () => {
    const loopback = await tcpLoopback((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]'))
    })
    const swarm = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${loopback.port}` })
    expect(await swarm.listNodes()).toEqual([])
    const before = Date.now()
    expectBetween(swarm.now(), before, () => Date.now())
    await loopback.close()
  })
})

/** Everything that a log could contain of an error. */
function everythingIn(error: unknown): string {
  return error instanceof Error
    ? `${error.stack} ${JSON.stringify({ ...error })} ${everythingIn(error.cause)}`
    : String(error)
}
