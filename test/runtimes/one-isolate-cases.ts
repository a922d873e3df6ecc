// Several HTTP requests to one isolate of workerd, whose deployer is created at module scope. The
// runtime ends the timers of a request with the request.

import { equal } from '../support/assert-json-equal.ts'

/** A case; `run` gets the URL of an isolate of its own. */
export interface OneIsolateCase {
  readonly name: string
  run(base: string): Promise<void>
}

interface Reply {
  readonly status: number
  readonly location: string
  readonly body: Record<string, unknown>
}

const AUTHORIZED = { Authorization: 'SOME_TOKEN' }

async function send(url: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(url, { headers: AUTHORIZED, ...init })
  const text = await response.text()
  if (!text.startsWith('{')) {
    throw new Error(`status ${response.status}: ${text}`)
  }
  const location = response.headers.get('Location') ?? ''
  return { status: response.status, location, body: JSON.parse(text) }
}

async function steer(base: string, step: string): Promise<void> {
  const response = await fetch(`${base}steer/${step}`, { method: 'POST' })
  equal([step, await response.text()], [step, 'done'])
}

/** Deploys in a request of its own. */
async function deploy(base: string, query = ''): Promise<Reply> {
  await steer(base, 'add')
  const body = JSON.stringify({ image: 'me/app:v2' })
  const reply = await send(`${base}service/blog${query}`, {
    method: 'PUT',
    body,
    headers: AUTHORIZED,
  })
  return { ...reply, location: reply.location.slice(1) }
}

function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

export const oneIsolateCases: readonly OneIsolateCase[] = [
  {
    name: 'GET in later requests finds the verdict of a deployment that another request created',
    async run(base) {
      const { location } = await deploy(base)
      await steer(base, 'begin')
      await pass(3000)
      equal((await send(`${base}${location}`)).body.verdict, 'pending')
      await steer(base, 'complete')
      await pass(3000)
      equal((await send(`${base}${location}`)).body.verdict, 'converged')
      equal((await send(`${base}${location}`)).body.verdict, 'converged')
    },
  },
  {
    name: 'GET with wait, immediately after the PUT, waits for the verdict',
    async run(base) {
      const { location } = await deploy(base)
      const waiting = send(`${base}${location}?wait=25`)
      await pass(500)
      await steer(base, 'begin')
      await pass(2000)
      await steer(base, 'rollback')
      const { status, body } = await waiting
      equal([status, body.verdict], [424, 'rolled-back'])
    },
  },
  {
    name: 'GET with wait uses its time where the rollout does not end',
    async run(base) {
      const { location } = await deploy(base)
      await steer(base, 'begin')
      const startedAt = performance.now()
      const { status, body } = await send(`${base}${location}?wait=5`)
      equal([status, body.verdict], [504, 'pending'])
      equal(performance.now() - startedAt >= 4500, true)
      await steer(base, 'complete')
      equal((await send(`${base}${location}?wait=25`)).body.verdict, 'converged')
    },
  },
  {
    name: 'several requests wait at the same time for a deployment of a request that has ended',
    async run(base) {
      const { location } = await deploy(base)
      await steer(base, 'begin')
      const waiting = Array.from({ length: 5 }, () => send(`${base}${location}?wait=25`))
      await pass(6000)
      await steer(base, 'complete')
      const verdicts = (await Promise.all(waiting)).map(({ body }) => body.verdict)
      equal(
        verdicts,
        Array.from({ length: 5 }, () => 'converged'),
      )
    },
  },
  {
    name: 'a stream of events in a later request reports progress and the verdict',
    async run(base) {
      const { location } = await deploy(base)
      await steer(base, 'begin')
      const response = await fetch(`${base}${location}`, {
        headers: { ...AUTHORIZED, Accept: 'text/event-stream' },
      })
      const text = response.text()
      await pass(5000)
      await steer(base, 'complete')
      equal(/event: verdict\ndata: \{"verdict":"converged"/.test(await text), true)
    },
  },
  {
    name: 'PUT with wait finds the verdict, and so does a second PUT for the same service',
    async run(base) {
      const first = deploy(base, '?wait=25')
      await pass(1000)
      await steer(base, 'complete')
      equal((await first).body.verdict, 'converged')
      const body = JSON.stringify({ image: 'me/app:v3' })
      const init = { method: 'PUT', body, headers: AUTHORIZED }
      const second = send(`${base}service/blog?wait=25`, init)
      await pass(1000)
      await steer(base, 'complete')
      equal((await second).body.verdict, 'converged')
    },
  },
  {
    name: 'a verdict that only a GET with wait finds, of a watch that was taken over, is logged and published once',
    async run(base) {
      const { location } = await deploy(base)
      await steer(base, 'begin')
      await pass(4000)
      const waiting = [send(`${base}${location}?wait=25`), send(`${base}${location}?wait=25`)]
      await pass(2000)
      await steer(base, 'complete')
      for (const one of waiting) {
        equal((await one).body.verdict, 'converged')
      }
      await pass(1000)
      equal((await send(`${base}log`)).body, {
        messages: ['deployment accepted', 'deployment ended'],
      })
      equal((await send(`${base}events`)).body, { events: ['accepted', 'converged'] })
    },
  },
  {
    name: 'the places of clients that have disconnected can be used again',
    async run(base) {
      const disconnect = new AbortController()
      const open = (signal?: AbortSignal) => fetch(`${base}place`, signal ? { signal } : {})
      for (const expected of [200, 200, 503]) {
        equal((await open(disconnect.signal)).status, expected)
      }
      disconnect.abort()
      await pass(4000)
      for (const expected of [200, 200, 503]) {
        equal((await open()).status, expected)
      }
    },
  },
]
