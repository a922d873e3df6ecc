// Behaviour of `Accept: text/plain`: responses that people read in the output of a CI job.

import { Hono } from 'hono'
import { equal } from '../support/assert-json-equal.ts'
import { type Case, createHarness, type Harness, TOKEN } from './harness.ts'

interface TextAnswer {
  readonly status: number
  readonly type: string | null
  readonly location: string | null
  readonly lines: readonly string[]
}

async function request(
  { app }: Pick<Harness, 'app'>,
  path: string,
  { accept = 'text/plain', ...init }: RequestInit & { readonly accept?: string } = {},
): Promise<TextAnswer> {
  const headers = { Authorization: TOKEN, Accept: accept, ...init.headers }
  const response = await app.request(path, { ...init, headers })
  const { status } = response
  const type = response.headers.get('Content-Type')
  const location = response.headers.get('Location')
  return { status, type, location, lines: (await response.text()).split('\n') }
}

const put = (image = 'me/app:v2'): RequestInit => ({
  method: 'PUT',
  body: JSON.stringify({ image }),
})

const TEXT = 'text/plain; charset=utf-8'

export const plainText: readonly Case[] = [
  {
    name: 'with Accept: text/plain, PUT and GET respond with the verdict first and the ID last',
    async run() {
      const harness = createHarness()
      harness.swarm.addService('blog')
      const done = await request(harness, '/service/blog?wait=50', put())
      const id = done.location?.split('/').at(-1)
      equal(done, {
        ...{ status: 200, type: TEXT, location: `/deployments/${id}` },
        lines: ['converged: service blog, image me/app:v2', `deployment: ${id}`, ''],
      })
      equal(await request(harness, `/deployments/${id}`), done)
    },
  },
  {
    name: 'with Accept: text/plain, a failed rollout has its tasks and their logs, with the same status',
    async run() {
      const harness = createHarness()
      const { swarm, begin, get } = harness
      swarm.addService('blog', { image: 'me/app:v1' })
      swarm.logs.set('default', 'no database\nbye')
      const { answer, rollout } = await begin('blog', { headers: { Accept: '*/*' } })
      rollout.pause()
      const json = await answer
      const location = json.headers.get('Location') ?? ''
      const failed = await request(harness, location)
      equal([failed.status, failed.type], [json.status, TEXT])
      equal(failed.lines.slice(0, 2), [
        'paused: service blog, image me/app:v2',
        String(json.body.detail),
      ])
      const [task] = json.body.tasks as readonly { slot: number; node: string; error: string }[]
      equal(failed.lines.slice(2, 5), [
        `task ${task?.slot} on ${task?.node}: failed, ${task?.error}, exit code 1`,
        '    | no database',
        '    | bye',
      ])
      equal(failed.lines.slice(-2), [`deployment: ${json.body.deploymentId}`, ''])
      equal((await get(location)).body.code, 'rollout-failed')
    },
  },
  {
    name: 'with Accept: text/plain, errors are the title, the detail and the code',
    async run() {
      const harness = createHarness()
      const cases: readonly (readonly [string, RequestInit, number, string])[] = [
        ['/service/nosuch', put(), 404, 'service-not-found'],
        ['/service/blog', put(''), 400, 'invalid-image-reference'],
        ['/service/blog?wait=x', put(), 400, 'malformed-request'],
        ['/service/blog', { ...put(), headers: { Authorization: '' } }, 401, 'missing-token'],
        ['/deployments/x', {}, 404, 'deployment-not-found'],
        ['/deployments/x', { headers: { Authorization: 'x' } }, 401, 'invalid-token'],
      ]
      for (const [path, init, status, code] of cases) {
        const answer = await request(harness, path, init)
        equal([answer.status, answer.type], [status, TEXT])
        equal([answer.lines.length, answer.lines[2]], [4, `code: ${code}`])
      }
      equal(harness.logger.lines.length, 5)
    },
  },
  {
    name: 'with Accept: text/plain, headers of an error stay, such as Retry-After and WWW-Authenticate',
    async run() {
      const { app } = createHarness()
      const headers = { Accept: 'text/plain', Authorization: 'wrong' }
      const response = await app.request('/deployments/x', { headers })
      equal(response.headers.get('WWW-Authenticate')?.includes('invalid_token'), true)
    },
  },
  {
    name: 'with Accept: text/plain, a dry run says what would change',
    async run() {
      const harness = createHarness()
      harness.swarm.addService('blog', { image: 'me/app:v1' })
      const { lines } = await request(harness, '/service/blog?dryRun=true', put())
      equal(lines.slice(0, 2), [
        'dry run, would update: service blog, image me/app:v2',
        'from me/app:v1',
      ])
      equal(lines[2]?.startsWith('to me/app:v2@sha256:'), true)
    },
  },
  {
    name: 'the Accept header of curl, a browser or a JSON client gets JSON; text/event-stream gets events',
    async run() {
      const harness = createHarness()
      harness.swarm.addService('blog')
      const { location } = await request(harness, '/service/blog?wait=50', put())
      const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
      for (const accept of ['*/*', browser, 'application/json, text/plain, */*']) {
        const { type } = await request(harness, location ?? '', { accept })
        equal([accept, type], [accept, 'application/json'])
      }
      const events = await request(harness, location ?? '', {
        accept: 'text/event-stream, text/plain',
      })
      equal(events.type?.startsWith('text/event-stream'), true)
    },
  },
  {
    name: 'Accept: text/plain works under app.route and app.mount',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      const gateway = new Hono().route('/route', app).mount('/mount', app.fetch)
      for (const base of ['/route', '/mount']) {
        const headers = { Authorization: TOKEN, Accept: 'text/plain' }
        const init = { method: 'PUT', body: '{"image":"Me"}', headers }
        const response = await gateway.request(`${base}/service/blog`, init)
        const [, , code] = (await response.text()).split('\n')
        equal([response.status, code], [400, 'code: invalid-image-reference'])
      }
    },
  },
]
