// The dockerode adapter on a real engine: registries, logs, events, and an engine that is killed.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDockerodeSwarm, type DockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'
import type { Task } from '../../src/swarm/engine-types.ts'
import type { Service, ServiceSpec } from '../../src/swarm/service.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { httpLoopback, type Loopback, tcpLoopback } from '../support/loopback.ts'
import { type Lab, raiseLab } from './lab.ts'
import { freePorts } from './ports.ts'
import { createRegistry, type Registry } from './registry.ts'
import { waitFor } from './wait.ts'

// As `htpasswd -nbB deployer 'open sesame'` writes it.
const HTPASSWD = 'deployer:$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy'
const PASSWORD = 'open sesame'

let lab: Lab
let swarm: DockerodeSwarm

beforeAll(async () => {
  lab = await raiseLab()
  swarm = createDockerodeSwarm({ dockerHost: lab.engine.dockerHost })
})

afterAll(() => lab.down())

/** Encodes credentials as in Docker's header `X-Registry-Auth`. */
function authFor(address: string, password: string, padding = ''): { registryAuth: string } {
  const account = { username: 'deployer', password, serveraddress: address, padding }
  return { registryAuth: Buffer.from(JSON.stringify(account)).toString('base64url') }
}

function withImage({ Spec }: Service, Image: string): ServiceSpec {
  const { TaskTemplate } = Spec
  const ContainerSpec = { ...TaskTemplate.ContainerSpec, Image }
  return { ...Spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } }
}

/** Writes an image, and tries again while the version is out of date. */
async function write(
  id: string,
  image: string,
  credentials?: { registryAuth: string },
): Promise<void> {
  await waitFor(`a write to service ${id}`, async () => {
    const service = await swarm.inspectService(id)
    return (
      (await swarm.updateService(service, withImage(service, image), credentials)) === 'updated'
    )
  })
}

function waitTask(id: string, isIt: (task: Task) => boolean): Promise<Task> {
  return waitFor(`a task of service ${id}`, async () => (await swarm.listTasks(id)).find(isIt), {
    describe: async () => JSON.stringify(await swarm.listTasks(id), null, 1),
  })
}

describe('a registry with a password', () => {
  let registry: Registry
  let image: string

  beforeAll(async () => {
    const [port = 0] = await freePorts(1)
    const options = { name: 'private', htpasswd: HTPASSWD }
    registry = await createRegistry(lab.directory, port, options)
    await registry.start()
    image = `${registry.address}/lab/app:private`
    await lab.engine.docker('login', '-u', 'deployer', '-p', PASSWORD, registry.address)
    await lab.engine.docker('tag', lab.image('lab/app:v2'), image)
    await lab.engine.docker('push', '--quiet', image)
    await lab.engine.docker('rmi', image, lab.image('lab/app:v2'))
  })

  test('without credentials the image is not readable', async () => {
    await expect(swarm.resolveImage(image)).rejects.toMatchObject({
      code: 'image-not-readable',
      cause: expect.objectContaining({ message: expect.stringContaining('no basic auth') }),
    })
    await expect(swarm.resolveImage(image)).rejects.toMatchObject({
      message: expect.stringMatching(/absent or private, and Deployer has no credentials/),
    })
  })

  test('with credentials digest and platforms are resolved', async () => {
    const resolved = {
      digest: await lab.registry.digest('lab/app:v2'),
      platforms: [{ Architecture: 'amd64', OS: 'linux' }],
    }
    // Base64 has up to two padding characters.
    for (const padding of ['', '1', '22']) {
      const credentials = authFor(registry.address, PASSWORD, padding)
      expect(await swarm.resolveImage(image, credentials)).toEqual(resolved)
    }
  })

  test('with credentials a missing image is not found', async () => {
    const credentials = authFor(registry.address, PASSWORD)
    await expect(swarm.resolveImage(`${image}x`, credentials)).rejects.toMatchObject({
      code: 'image-not-found',
      cause: expect.objectContaining({ message: expect.stringContaining('manifest unknown') }),
    })
  })

  test('with a wrong password the image is not readable', async () => {
    const credentials = authFor(registry.address, 'open barley')
    const fault = await swarm.resolveImage(image, credentials).catch((error: unknown) => error)
    expect(fault).toMatchObject({
      code: 'image-not-readable',
      message: expect.stringMatching(/absent or private, and the registry refused the credentials/),
    })
    expect(JSON.stringify(fault)).not.toContain(credentials.registryAuth)
  })

  test('credentials that cannot be decoded count as none', async () => {
    await expect(swarm.resolveImage(image, { registryAuth: 'garbled' })).rejects.toMatchObject({
      code: 'image-not-readable',
    })
  })

  test('nodes can pull the image only if the update has credentials', async () => {
    const { id } = await lab.createService({ image: lab.image('lab/app:v1'), replicas: 1 })
    const runs = (wanted: string, State: string) => (task: Task) =>
      task.Spec.ContainerSpec?.Image === wanted && task.Status.State === State
    await write(id, image)
    await waitTask(id, runs(image, 'rejected'))
    const pinned = `${image}@${await lab.registry.digest('lab/app:v2')}`
    await write(id, pinned, authFor(registry.address, PASSWORD))
    await waitTask(id, runs(pinned, 'running'))
    await lab.engine.docker('service', 'rm', id)
  })

  afterAll(() => registry.kill())
})

describe('a registry', () => {
  test('that accepts a connection and does not answer is unavailable after 12 s', async () => {
    const silent = await tcpLoopback(() => {})
    const startedAt = performance.now()
    await expect(swarm.resolveImage(`127.0.0.1:${silent.port}/a:b`)).rejects.toMatchObject({
      code: 'registry-unavailable',
      retryAfterSeconds: 5,
      message: expect.stringContaining('no answer within 12000 ms'),
    })
    expect(performance.now() - startedAt).toBeGreaterThan(11_900)
    await silent.close()
  })

  test('that does not listen is unavailable', async () => {
    await expect(swarm.resolveImage('127.0.0.1:1/a:b')).rejects.toMatchObject({
      code: 'registry-unavailable',
      retryAfterSeconds: 5,
      cause: expect.objectContaining({ message: expect.stringContaining('connection refused') }),
    })
  })

  test.each<[string, number, object, string, string, number | undefined]>([
    ['limits the rate of requests', 429, {}, 'TOOMANYREQUESTS', 'registry-unavailable', 30],
    ['limits the rate of requests, in HTML', 429, {}, '', 'registry-unavailable', 30],
    ['denies', 403, {}, 'DENIED', 'image-not-readable', undefined],
    ['denies in HTML', 403, {}, '', 'image-not-readable', undefined],
    ['has an internal error', 500, {}, 'UNKNOWN', 'registry-unavailable', 5],
    ['is behind a proxy without an upstream', 502, {}, '', 'registry-unavailable', 5],
    ['does not know the name', 404, {}, 'NAME_UNKNOWN', 'image-not-found', undefined],
    ['is another kind of server', 404, {}, '', 'image-not-found', undefined],
    [
      'names a token server that does not listen',
      401,
      { 'WWW-Authenticate': 'Bearer realm="http://127.0.0.1:1/token",service="unauthorized"' },
      'UNAUTHORIZED',
      'registry-unavailable',
      5,
    ],
  ])('that %s', async (_, status, headers, code, expected, retryAfterSeconds) => {
    const registry = await scriptedRegistry((request, response) => {
      const isPing = request.url === '/v2/'
      const isAnswered = isPing && !('WWW-Authenticate' in headers)
      const body = code === '' ? '<html>' : JSON.stringify({ errors: [{ code, message: code }] })
      response.writeHead(isAnswered ? 200 : status, {
        'Content-Type': 'application/json',
        ...headers,
      })
      response.end(isAnswered ? '{}' : body)
    })
    await expect(swarm.resolveImage(`127.0.0.1:${registry.port}/a:b`)).rejects.toMatchObject({
      code: expected,
      retryAfterSeconds,
    })
    await registry.close()
  })
})

function scriptedRegistry(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Loopback> {
  return httpLoopback(answer)
}

describe('readTaskLog', () => {
  const failedTask = async (script: string, ...args: string[]): Promise<string> => {
    const version = `log ${Math.random()}`
    const image = await lab.pushImage('lab/log:v1', { version, script })
    const flags = ['--restart-condition=none', ...args]
    const { id } = await lab.createService({ image, replicas: 1, args: flags })
    return (await waitTask(id, ({ Status }) => Status.State === 'failed')).ID
  }

  test('gives what a task wrote before it failed, of both outputs', async () => {
    const script =
      'echo one; sleep 0.2; echo "è€😀" >&2; sleep 0.2; printf "\\033[31mred\\033[0m"; exit 3'
    expect(await swarm.readTaskLog(await failedTask(script), 20)).toBe('one\nè€😀\nred')
  })

  test('gives what a task with a terminal wrote', async () => {
    const task = await failedTask('echo one; echo two >&2; exit 3', '--tty')
    expect(await swarm.readTaskLog(task, 20)).toBe('one\ntwo')
  })

  test('gives the last lines, and at most 8 KiB', async () => {
    const script = 'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "$i $PATH $PATH"; done; exit 3'
    const task = await failedTask(script)
    const lines = (await swarm.readTaskLog(task, 5)).split('\n')
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['496', '497', '498', '499', '500'])
    const all = await swarm.readTaskLog(task, 1000)
    expect(Buffer.byteLength(all)).toBeLessThanOrEqual(8192)
    expect(Buffer.byteLength(all)).toBeGreaterThan(8000)
    expect(all).toMatch(/\n500 \S+ \S+$/)
  })

  test('gives the log of a task that is still running', async () => {
    const { id } = await lab.createService({
      image: await lab.pushImage('lab/log:v2', {
        version: 'log',
        script: 'echo ready; trap "exit 0" TERM; while :; do sleep 3600 & wait; done',
      }),
    })
    const task = await waitTask(id, ({ Status }) => Status.State === 'running')
    await waitFor('the log', async () => (await swarm.readTaskLog(task.ID, 20)) === 'ready')
    // The engine does not end the log of a running task.
    expect((await swarm.listTasks(id)).find(({ ID }) => ID === task.ID)?.Status.State).toBe(
      'running',
    )
  })
})

describe('watchServices', () => {
  test('reports a rollout that fails and is rolled back', async () => {
    const args = [
      '--update-failure-action=rollback',
      '--update-monitor=60s',
      '--update-order=start-first',
    ]
    const image = lab.image('lab/app:v1')
    const { id } = await lab.createService({ image, replicas: 1, args })
    await waitTask(id, ({ Status }) => Status.State === 'running')
    const { events, controller, ended } = await openWatch()
    await write(id, lab.image('lab/app:bad'))
    const states = () =>
      events
        .filter(({ serviceId }) => serviceId === id)
        .flatMap(({ updateState = [] }) => updateState)
    await waitFor('the rollback', () => states().includes('rollback_completed'), {
      describe: () => JSON.stringify(events),
    })
    expect(states()).toEqual(['updating', 'rollback_started', 'rollback_completed'])
    controller.abort()
    expect(await ended).toBe('resolved')
    await lab.engine.docker('service', 'rm', id)
  })

  test('an aborted watch closes its connection to the engine', async () => {
    const listeners = async (): Promise<number> =>
      JSON.parse((await lab.engine.request('GET', '/info')).text).NEventsListener
    // Swarm's executor has a listener for each running task, and those of earlier tests end later: there
    // are so many watches that these listeners do not matter.
    const others = await listeners()
    const watches = await Promise.all(Array.from({ length: 60 }, openWatch))
    expect(await listeners()).toBeGreaterThan(others + 30)
    for (const { controller } of watches) {
      controller.abort()
    }
    await waitFor('the listeners to be removed', async () => (await listeners()) < others + 30)
  })

  test('a watch ends when the engine is killed, and a later one reports the events since then', async () => {
    const { id } = await lab.createService({ image: lab.image('lab/app:v1'), replicas: 0 })
    const first = await openWatch()
    await write(id, lab.image('lab/app:v2'))
    const [event] = await waitFor('the event', () => first.events.length > 0 && first.events)
    await lab.engine.kill()
    expect(await first.ended).toMatchObject({ code: 'engine-unreachable' })
    const meanwhile = swarm.watchServices(
      { opened() {}, changed() {} },
      { signal: new AbortController().signal },
    )
    await expect(meanwhile).rejects.toMatchObject({ code: 'engine-unreachable' })

    await lab.engine.start()
    await write(id, lab.image('lab/app:v3'))
    const again = await openWatch(event?.timeMs)
    const images = () =>
      again.events.filter(({ serviceId }) => serviceId === id).flatMap(({ image = [] }) => image)
    // An engine keeps events in memory. When it replays its raft log, it may report old writes.
    await waitFor('the event', () => images().at(-1) === lab.image('lab/app:v3'))
    again.controller.abort()
    expect(await again.ended).toBe('resolved')
  })
})

interface Watch {
  readonly events: readonly ServiceEvent[]
  readonly controller: AbortController
  readonly ended: Promise<unknown>
}

async function openWatch(sinceMs?: number): Promise<Watch> {
  const controller = new AbortController()
  const events: ServiceEvent[] = []
  let isOpen = false
  const listener = {
    opened() {
      isOpen = true
    },
    changed: (event: ServiceEvent) => void events.push(event),
  }
  const ended = swarm.watchServices(listener, { signal: controller.signal, sinceMs }).then(
    () => 'resolved',
    (error: unknown) => error,
  )
  await waitFor('the watch to open', () => isOpen)
  return { events, controller, ended }
}
