// Behaviour of GET /service/<name> and GET /services.

import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import { fakeNode } from '../support/fake-placement.ts'
import { digestOf } from '../support/fake-registry.ts'
import { type Case, createHarness, pinned, read, TOKEN } from './harness.ts'

const PATHS = ['/service/blog', '/services', '/deployments/x']

export const status: readonly Case[] = [
  {
    name: 'the status of a service has image, digest, mode, tasks, update status, and that it may be updated',
    async run() {
      const { swarm, put, get } = createHarness()
      const { ID } = swarm.addService('blog', { replicas: 2 })
      await put('blog', { query: '?wait=50' })
      const { status: came, body } = await get('/service/blog')
      const { UpdateStatus } = swarm.service('blog')
      equal(came, 200)
      equal(body, {
        service: 'blog',
        serviceId: ID,
        image: pinned('me/app:v2'),
        digest: digestOf('me/app:v2'),
        mode: 'replicated',
        running: 2,
        desired: 2,
        updateStatus: {
          state: 'completed',
          startedAt: UpdateStatus?.StartedAt,
          completedAt: UpdateStatus?.CompletedAt,
          message: 'update completed',
        },
        allowsUpdates: true,
      })
    },
  },
  {
    name: 'the status of a service has name and counts in each mode',
    async run() {
      const modes: readonly (readonly [object, string, number, number | undefined, number])[] = [
        [{ Replicated: { Replicas: 0 } }, 'replicated', 0, undefined, 0],
        [{ Global: {} }, 'global', 2, undefined, 2],
        [{ ReplicatedJob: { TotalCompletions: 3 } }, 'replicated-job', 0, 3, 3],
        [{ GlobalJob: {} }, 'global-job', 0, 2, 2],
      ]
      for (const [mode, name, running, completed, desired] of modes) {
        const { swarm, get } = createHarness()
        swarm.nodes = [fakeNode('one'), fakeNode('two')]
        swarm.addService('blog', { mode })
        const { body } = await get('/service/blog')
        equal(
          [body.mode, body.running, body.completed, body.desired],
          [name, running, completed, desired],
        )
        equal([body.digest, body.updateStatus], [null, null])
      }
    },
  },
  {
    name: 'the status of a service that may not be updated has the reason and the remedy',
    async run() {
      const { swarm, get } = createHarness()
      swarm.addService('blog', { labels: { 'deployer.allowUpdates': 'no' } })
      swarm.addService('plugin', { spec: { TaskTemplate: { PluginSpec: {} } } })
      const { body } = await get('/service/blog')
      equal(body.allowsUpdates, false)
      equal(String(body.reason).includes('--label-add deployer.allowUpdates=true blog'), true)
      const plugin = await get('/service/plugin')
      equal([plugin.status, plugin.body.allowsUpdates, plugin.body.image], [200, false, ''])
      equal(typeof plugin.body.reason, 'string')
    },
  },
  {
    name: 'a service is found only by its name or full ID; no other name reaches the engine',
    async run() {
      const { swarm, get } = createHarness()
      const { ID } = swarm.addService('blog')
      equal((await get(`/service/${ID}`)).body.service, 'blog')
      for (const name of ['nosuch', 'blo', ID.slice(0, 10)]) {
        const { status: came, body } = await get(`/service/${name}`)
        equal([name, came, body.code], [name, 404, 'service-not-found'])
      }
      const { length } = swarm.calls
      equal((await get('/service/..%2fcontainers%2fjson')).status, 404)
      equal(swarm.calls.length, length)
    },
  },
  {
    name: 'the services that allow updates are listed, without their tasks',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      swarm.addService('closed', { labels: {} })
      swarm.addService('odd', { labels: { 'deployer.allowUpdates': 'TRUE' } })
      swarm.addService('shop', { image: pinned('me/shop:v1') })
      const response = await app.request('/services', { headers: { Authorization: TOKEN } })
      const body = (await response.json()) as readonly Record<string, unknown>[]
      equal(
        body.map(({ service, digest, allowsUpdates }) => [service, digest, allowsUpdates]),
        [
          ['blog', null, true],
          ['shop', digestOf('me/shop:v1'), true],
        ],
      )
      equal(
        body.filter((one) => 'running' in one || 'desired' in one || 'reason' in one),
        [],
      )
      equal(swarm.calls, ['list deployer.allowUpdates=true'])
    },
  },
  {
    name: 'all status requests need the token, and report the error of the engine',
    async run() {
      const { app, swarm, get } = createHarness()
      swarm.addService('blog')
      for (const path of PATHS) {
        const missing = await read(await app.request(path))
        equal([path, missing.status, missing.body.code], [path, 401, 'missing-token'])
        const wrong = await read(await app.request(path, { headers: { Authorization: 'x' } }))
        equal([path, wrong.status, wrong.body.code], [path, 401, 'invalid-token'])
        const head = await app.request(path, { method: 'HEAD' })
        equal([path, head.status], [path, 401])
      }
      equal(swarm.calls, [])
      for (const failure of [new DeployerError('swarm-locked', 'Locked'), 'a text']) {
        swarm.failure = failure
        const code = typeof failure === 'string' ? 'internal-error' : 'swarm-locked'
        equal((await get('/service/blog')).body.code, code)
        equal((await get('/services')).body.code, code)
      }
    },
  },
]
