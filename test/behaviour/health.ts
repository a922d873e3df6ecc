// Behaviour of `GET /healthz`.

import { Hono } from 'hono'
import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import { type Case, createHarness, read, TOKEN } from './harness.ts'

export const health: readonly Case[] = [
  {
    name: 'GET /healthz responds with 200 and "ok", without a token, and calls nothing',
    async run() {
      const { app, swarm, logger, notifier } = createHarness()
      const response = await app.request('/healthz')
      equal([response.status, await response.text()], [200, 'ok\n'])
      equal(response.headers.get('Cache-Control'), 'no-store')
      equal([swarm.calls, logger.lines, notifier.events], [[], [], []])
    },
  },
  {
    name: 'GET /healthz ignores a wrong token, and HEAD has the same status without a body',
    async run() {
      const { app } = createHarness()
      const headers = { Authorization: 'wrong' }
      equal((await app.request('/healthz', { headers })).status, 200)
      const head = await app.request('/healthz', { method: 'HEAD' })
      equal([head.status, await head.text()], [200, ''])
    },
  },
  {
    name: 'GET /healthz responds with 200 while the engine is unreachable',
    async run() {
      const { app, swarm, get } = createHarness()
      swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
      equal((await get('/service/blog')).status, 503)
      equal((await app.request('/healthz')).status, 200)
    },
  },
  {
    name: 'another method on /healthz is 405 with Allow, with and without a token',
    async run() {
      const { app } = createHarness()
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        for (const headers of [{}, { Authorization: TOKEN }]) {
          const refused = await read(await app.request('/healthz', { method, headers }))
          equal([method, refused.status, refused.body.code], [method, 405, 'method-not-allowed'])
          equal(refused.headers.get('Allow'), 'GET')
        }
      }
    },
  },
  {
    name: 'GET /healthz works under app.route and app.mount',
    async run() {
      const { app } = createHarness()
      const gateway = new Hono().route('/route', app).mount('/mount', app.fetch)
      for (const path of ['/route/healthz', '/mount/healthz']) {
        const response = await gateway.request(path)
        equal([path, response.status, await response.text()], [path, 200, 'ok\n'])
      }
      equal((await gateway.request('/healthz')).status, 404)
    },
  },
]
