// Behaviour of waiting: how long, where to ask again, and what ends a wait.

import { Hono } from 'hono'
import { equal } from '../support/assert-json-equal.ts'
import { type Case, countCalls, createHarness, read, TOKEN, until } from './harness.ts'

const GOOD = ['0', '1', '50', '50s', '5m', '1h', '60m', '3600', '3600s']
const BAD = ['-1', '1.5', '', '61m', '2h', '3601', 'abc', '1e3', '50 s', ' 50', '1d', '5ms', '٥']

export const waiting: readonly Case[] = [
  {
    name: `a wait may be written as ${GOOD.join(', ')}`,
    async run() {
      for (const wait of GOOD) {
        const { swarm, put } = createHarness()
        swarm.addService('blog', { replicas: 0 })
        const { status, body } = await put('blog', { query: `?wait=${wait}` })
        equal([wait, status, body.verdict], [wait, 200, 'converged'])
      }
    },
  },
  {
    name: 'a wait that is no duration, or longer than an hour, is 400, and nothing is written',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog', { replicas: 0 })
      for (const wait of BAD) {
        const query = `?wait=${encodeURIComponent(wait)}`
        const { status, body } = await put('blog', { query })
        equal([wait, status, body.code], [wait, 400, 'malformed-request'])
        const response = await get(`/deployments/x${query}`)
        equal([wait, response.status, response.body.code], [wait, 400, 'malformed-request'])
      }
      equal(swarm.calls, [])
    },
  },
  {
    name: 'without a wait the response is accepted immediately, and the Location has the verdict',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const accepted = await put('blog')
      equal([accepted.status, accepted.body.verdict], [200, 'accepted'])
      const location = String(accepted.headers.get('Location'))
      const pending = await get(location)
      equal([pending.status, pending.body.verdict], [200, 'pending'])
      equal([typeof pending.body.message, 'endedAt' in pending.body], ['string', false])
      const later = get(`${location}?wait=50`)
      swarm.rollout('blog').complete()
      const { status, body } = await later
      equal([status, body.verdict], [200, 'converged'])
      equal((await get(location)).body, body)
      equal(body.deploymentId, accepted.body.deploymentId)
    },
  },
  {
    name: '2,000 callers wait or follow at a time; one more is 503 overloaded, and nothing is deployed for it',
    async run() {
      const { app, swarm, put, get } = createHarness()
      swarm.addService('blog')
      swarm.addService('other')
      swarm.onUpdate = 'none'
      const { headers } = await put('blog')
      const location = String(headers.get('Location'))
      const events = { Authorization: TOKEN, Accept: 'text/event-stream' }
      const hangUp = new AbortController()
      const { signal } = hangUp
      const stream = await app.fetch(
        new Request(`http://deployer${location}`, { headers: events, signal }),
      )
      const waits = Array.from({ length: 1999 }, () => get(`${location}?wait=50`))
      const updates = countCalls(swarm, 'update')
      for (const query of ['?wait=50', '?wait=0']) {
        const refused = await put('other', { query })
        equal([refused.status, refused.body.code], [503, 'overloaded'])
        equal(refused.headers.get('Retry-After'), '5')
      }
      equal((await put('other', { headers: events })).status, 503)
      equal((await get(`${location}?wait=50`)).status, 503)
      equal(countCalls(swarm, 'update'), updates)
      equal([(await put('other')).status, (await get(location)).status], [200, 200])
      hangUp.abort()
      await stream.text().catch(() => {})
      swarm.rollout('blog').complete()
      const ends = await Promise.all(waits)
      equal([...new Set(ends.map(({ status }) => status))], [200])
      const again = Array.from({ length: 2000 }, () => get(`${location}?wait=50`))
      const statuses = (await Promise.all(again)).map(({ status }) => status)
      equal([...new Set(statuses)], [200])
    },
  },
  {
    name: 'dry runs and rejected requests release their places',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog', { replicas: 0 })
      for (let n = 0; n < 700; n += 1) {
        await put('blog', { query: '?wait=50&dryRun=true' })
        await put('nosuch', { query: '?wait=50' })
        await get('/deployments/x?wait=abc')
      }
      equal((await put('blog', { query: '?wait=50' })).body.verdict, 'converged')
    },
  },
  {
    name: 'a wait that ends before the rollout is 504 rollout-pending, with Location and Retry-After',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = (rollout) => rollout.begin()
      const first = await put('blog', { query: '?wait=0' })
      const location = String(first.headers.get('Location'))
      for (const { status, headers, body } of [first, await get(`${location}?wait=0`)]) {
        equal([status, body.code, body.verdict], [504, 'rollout-pending', 'pending'])
        equal(headers.get('Location'), location)
        equal(Number(headers.get('Retry-After')) >= 1, true)
        equal([body.service, body.image, typeof body.startedAt], ['blog', 'me/app:v2', 'string'])
        equal(['endedAt' in body, typeof body.message], [false, 'string'])
      }
      equal(location, `/deployments/${first.body.deploymentId}`)
    },
  },
  {
    name: 'the same verdict is the same response, by PUT and at the Location, with and without a wait',
    async run() {
      const { swarm, begin, get } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.rollBack()
      const first = await answer
      for (const query of ['', '?wait=50']) {
        const again = await get(`${first.headers.get('Location')}${query}`)
        equal([again.status, again.body], [first.status, first.body])
      }
    },
  },
  {
    name: 'when Deployer shuts down, waiting callers get the last known state immediately',
    async run() {
      const stop = new AbortController()
      const { swarm, begin, get } = createHarness({ signal: stop.signal })
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      stop.abort()
      const { status, headers, body } = await answer
      equal([status, body.code, body.verdict], [504, 'rollout-pending', 'pending'])
      const late = await get(`${headers.get('Location')}?wait=50`)
      equal([late.status, late.body.verdict], [504, 'pending'])
      await until(() => swarm.streams === 0)
    },
  },
  {
    name: 'a request that arrives while Deployer shuts down is answered',
    async run() {
      const swarm = createHarness().swarm
      swarm.addService('blog')
      const one = createHarness({ swarm })
      await one.put('blog')
      await one.put('blog', { query: '?wait=50' })
      const stop = new AbortController()
      const other = createHarness({ swarm, signal: stop.signal })
      stop.abort()
      equal((await other.put('blog', { image: 'me/app:v2' })).status, 200)
      equal((await other.put('blog', { image: 'me/app:v3' })).status, 200)
    },
  },
  {
    name: 'an unexpected error of the swarm is logged and not sent to the caller, and the verdict is still found',
    async run() {
      const { swarm, begin, get, logger } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      swarm.failure = new TypeError('a bug of the adapter')
      rollout.complete()
      const fault = { level: 'error', message: 'service not looked at' }
      await until(() => logger.lines.some(({ message }) => message === fault.message))
      const lines = logger.lines.filter(({ message }) => message === fault.message)
      equal([lines[0]?.level, lines[0]?.err instanceof TypeError], [fault.level, true])
      const id = logger.lines[0]?.deploymentId
      const response = await get(`/deployments/${id}`)
      equal(
        [response.body.verdict, JSON.stringify(response.body).includes('bug')],
        ['pending', false],
      )
      swarm.failure = undefined
      equal((await answer).body.verdict, 'converged')
    },
  },
  {
    name: 'an accepted deployment is in the log while its caller still waits',
    async run() {
      const { swarm, begin, logger } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      const lines = (): unknown =>
        logger.lines.map(({ message, verdict }) => (verdict ? [message, verdict] : [message]))
      equal(lines(), [['deployment accepted']])
      rollout.complete()
      await answer
      equal(lines(), [['deployment accepted'], ['deployment ended', 'converged']])
    },
  },
  {
    name: 'a caller that hangs up stops nothing: the deployment continues, and its verdict is kept',
    async run() {
      const { swarm, begin, get, logger } = createHarness()
      swarm.addService('blog')
      const hangUp = new AbortController()
      const { answer, rollout } = await begin('blog', { signal: hangUp.signal })
      hangUp.abort()
      const { status, headers } = await answer
      equal(status, 504)
      rollout.complete()
      const { body } = await get(`${headers.get('Location')}?wait=50`)
      equal(body.verdict, 'converged')
      equal(logger.lines.filter(({ message }) => message === 'deployment ended').length, 1)
    },
  },
  {
    name: 'a thousand callers wait for one rollout with one stream and no more calls than for one',
    async run() {
      const { swarm, begin, put, get } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      const first = await put('blog')
      const calls = swarm.calls.length
      const path = `${first.headers.get('Location')}?wait=50`
      const others = Array.from({ length: 1000 }, () => get(path))
      rollout.complete()
      const responses = await Promise.all([answer, ...others])
      equal([...new Set(responses.map(({ body }) => body.verdict))], ['converged'])
      equal([countCalls(swarm, 'watch'), swarm.calls.length - calls <= 3], [1, true])
    },
  },
  {
    name: 'app.route: the Location is right under the base path, whatever the method',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog', { replicas: 0 })
      const gateway = new Hono().basePath('/api').route('/cd', app)
      await walk(gateway, '/api/cd')
    },
  },
  {
    name: 'app.mount: the Location is right under the base path in the options',
    async run() {
      const { app, swarm } = createHarness({ basePath: '/cd' })
      swarm.addService('blog', { replicas: 0 })
      await walk(new Hono().mount('/cd', app.fetch), '/cd')
    },
  },
]

/** Deploys under a base path, and follows the Location. */
async function walk(gateway: Hono, base: string): Promise<void> {
  const headers = { Authorization: TOKEN }
  const init = { method: 'PUT', body: '{"image":"me/app:v2"}', headers }
  const accepted = await read(await gateway.request(`${base}/service/blog`, init))
  const location = String(accepted.headers.get('Location'))
  equal(location, `${base}/deployments/${accepted.body.deploymentId}`)
  const found = await read(await gateway.request(`${location}?wait=50`, { headers }))
  equal([found.status, found.body.verdict], [200, 'converged'])
  equal(found.headers.get('Location'), location)
}
