// Behaviour inside another Hono app, as docs/embedding.md shows it.

import { Hono } from 'hono'
import { createDeployer } from '../../src/deployer.ts'
import type { DeployerApp } from '../../src/http/schema.ts'
import { equal } from '../support/assert-json-equal.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import { type Case, createHarness, read, TOKEN } from './harness.ts'

type Mount = (gateway: Hono, path: string, app: DeployerApp) => void

const MOUNTS: readonly (readonly [string, Mount])[] = [
  ['app.route', (gateway, path, app) => gateway.route(path, app)],
  ['app.mount', (gateway, path, app) => gateway.mount(path, app.fetch)],
]

const put = (token: string, image = 'me/app:v2'): RequestInit => ({
  method: 'PUT',
  body: JSON.stringify({ image }),
  headers: { Authorization: token },
})

export const embedding: readonly Case[] = [
  ...MOUNTS.flatMap(([how, mount]): readonly Case[] => [
    {
      name: `${how}: deployments and rejections work under the base path, inside the gateway's middleware`,
      async run() {
        const { app, swarm } = createHarness()
        swarm.addService('blog')
        const gateway = new Hono()
        gateway.use(async (c, next) => {
          await next()
          c.header('X-Gateway', 'passed')
        })
        mount(gateway, '/cd', app)
        const done = await gateway.request('/cd/service/blog', put(TOKEN))
        equal([done.status, done.headers.get('X-Gateway')], [200, 'passed'])
        const refused = await read(await gateway.request('/cd/service/blog', put('wrong')))
        equal([refused.status, refused.body.code], [401, 'invalid-token'])
        equal(refused.headers.get('X-Gateway'), 'passed')
        const wrongMethod = await gateway.request('/cd/service/blog', { method: 'POST' })
        equal([wrongMethod.status, wrongMethod.headers.get('Allow')], [405, 'GET, PUT'])
        equal((await gateway.request('/service/blog', put(TOKEN))).status, 404)
      },
    },
    {
      name: `${how}: twice in one process, each with its own token, swarm and messages`,
      async run() {
        const one = createHarness({ token: 'one' })
        const two = createHarness({ token: 'two' })
        one.swarm.addService('blog')
        two.swarm.addService('shop')
        const gateway = new Hono()
        mount(gateway, '/one', one.app)
        mount(gateway, '/two', two.app)
        equal((await gateway.request('/one/service/blog', put('one'))).status, 200)
        equal((await gateway.request('/two/service/shop', put('two'))).status, 200)
        equal((await gateway.request('/two/service/shop', put('one'))).status, 401)
        equal((await gateway.request('/one/service/shop', put('one'))).status, 404)
        equal([one.notifier.accepted().length, two.notifier.accepted().length], [1, 1])
      },
    },
    {
      name: `${how}: an unexpected error is handled by Deployer, not by the gateway's onError`,
      async run() {
        const { app, swarm } = createHarness()
        swarm.failure = new Error('inside')
        const gateway = new Hono()
        gateway.onError(() => new Response('gateway', { status: 599 }))
        mount(gateway, '/cd', app)
        const { status, body } = await read(await gateway.request('/cd/service/blog', put(TOKEN)))
        equal([status, body.code], [500, 'internal-error'])
      },
    },
  ]),
  {
    name: 'app.route: a path parameter of the gateway is not mistaken for the service name',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      swarm.addService('other')
      const gateway = new Hono().basePath('/api/:name').route('/cd', app)
      const { body } = await read(await gateway.request('/api/other/cd/service/blog', put(TOKEN)))
      equal(body.service, 'blog')
    },
  },
  {
    name: 'app.route: a middleware of the gateway may read the body first, and its size limit still holds',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      const gateway = new Hono()
      gateway.use(async (c, next) => {
        await c.req.text()
        await next()
      })
      gateway.route('/cd', app)
      equal((await gateway.request('/cd/service/blog', put(TOKEN))).status, 200)
      const large = put(TOKEN, `a:${'x'.repeat(70_000)}`)
      equal((await gateway.request('/cd/service/blog', large)).status, 413)
    },
  },
  {
    name: 'app.route: Location has no doubled slash when the gateway also routes paths with a slash at the end',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      const gateway = new Hono({ strict: false }).route('/cd', app)
      const done = await read(await gateway.request('/cd/service/blog/', put(TOKEN)))
      const location = `/cd/deployments/${String(done.body.deploymentId)}`
      equal([done.status, done.headers.get('Location')], [200, location])
      const headers = { Authorization: TOKEN }
      const again = await read(await gateway.request(`${location}/`, { headers }))
      equal([again.status, again.headers.get('Location')], [200, location])
    },
  },
  {
    name: 'a slash at the end of a path makes no difference, and an empty name or ID is not found',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      const done = await read(await app.request('/service/blog/', put(TOKEN)))
      const location = `/deployments/${String(done.body.deploymentId)}`
      equal([done.status, done.headers.get('Location')], [200, location])
      const headers = { Authorization: TOKEN }
      for (const [path, status] of [
        ['/service/blog/', 200],
        ['/services/', 200],
        [`${location}/`, 200],
        ['/service//', 404],
        ['/deployments//', 404],
      ] as const) {
        equal([path, (await app.request(path, { headers })).status], [path, status])
      }
    },
  },
  {
    name: "app.route: the gateway's context variables keep their values",
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      const own = { caller: 'me', logFields: 'mine', logAccepted: 'mine too' }
      type Variables = Record<keyof typeof own, string>
      const after: Variables[] = []
      const gateway = new Hono<{ Variables: Variables }>()
      gateway.use(async (c, next) => {
        c.set('caller', own.caller)
        c.set('logFields', own.logFields)
        c.set('logAccepted', own.logAccepted)
        await next()
        after.push({
          caller: c.get('caller'),
          logFields: c.get('logFields'),
          logAccepted: c.get('logAccepted'),
        })
      })
      gateway.route('/cd', app)
      equal((await gateway.request('/cd/service/blog', put(TOKEN))).status, 200)
      equal((await gateway.request('/cd/service/blog', put('wrong'))).status, 401)
      equal(after, [own, own])
    },
  },
  {
    name: 'an unknown path is handled by the gateway under app.route, and by Deployer under app.mount',
    async run() {
      const gateway = new Hono()
      gateway.notFound(() => new Response('gateway', { status: 404 }))
      gateway.route('/route', createHarness().app)
      gateway.mount('/mount', createHarness().app.fetch)
      equal(await (await gateway.request('/route/nosuch')).text(), 'gateway')
      equal((await read(await gateway.request('/mount/nosuch'))).body.code, 'not-found')
    },
  },
  {
    name: 'fetch works when it is detached from the app',
    async run() {
      const swarm = createFakeSwarm()
      swarm.addService('blog')
      const { fetch } = createDeployer({ token: TOKEN, swarm })
      const response = await fetch(new Request('http://any.host/service/blog', put(TOKEN)))
      equal(response.status, 200)
    },
  },
  {
    name: 'the options object is never changed',
    async run() {
      const options = Object.freeze({ token: TOKEN, swarm: createFakeSwarm() })
      await createDeployer(options).request('/service/blog', put(TOKEN))
      equal(Object.keys(options), ['token', 'swarm'])
    },
  },
]
