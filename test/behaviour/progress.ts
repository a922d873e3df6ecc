// Behaviour of a rollout that is streamed: server-sent events, by PUT and at the Location.

import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import { type Case, createHarness, type Harness, read, TOKEN, until } from './harness.ts'

interface StreamEvent {
  readonly event: string
  readonly data: Record<string, unknown>
}

interface Stream {
  readonly response: Response
  /** The events so far. */
  readonly events: readonly StreamEvent[]
  /** Resolves with the end of the stream. */
  readonly ended: Promise<void>
  cancel(): Promise<void>
}

const STREAM = { Authorization: TOKEN, Accept: 'text/event-stream' }

async function stream({ app }: Harness, path: string, init: RequestInit = {}): Promise<Stream> {
  const response = await app.request(path, { headers: STREAM, ...init })
  const events: StreamEvent[] = []
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  async function readOn(): Promise<void> {
    for (let text = ''; ; ) {
      const { done, value } = (await reader?.read()) ?? { done: true }
      if (done) {
        return
      }
      const blocks = (text + decoder.decode(value, { stream: true })).split('\n\n')
      text = blocks.pop() ?? ''
      events.push(...blocks.flatMap(parseBlock))
    }
  }
  return { response, events, ended: readOn(), cancel: async () => reader?.cancel() }
}

function parseBlock(block: string): StreamEvent[] {
  const fields = new Map(
    block.split('\n').map((line) => {
      const colon = line.indexOf(': ')
      return [line.slice(0, colon), line.slice(colon + 2)]
    }),
  )
  const [event, data] = [fields.get('event'), fields.get('data')]
  return event === undefined || data === undefined ? [] : [{ event, data: JSON.parse(data) }]
}

function putInit(image = 'me/app:v2'): RequestInit {
  return { method: 'PUT', body: JSON.stringify({ image }) }
}

function statesOf({ data }: StreamEvent): readonly unknown[] {
  const { tasks = [] } = data as { tasks?: readonly Record<string, unknown>[] }
  return tasks.map(({ slot, state }) => [slot, state])
}

export const progress: readonly Case[] = [
  {
    name: 'PUT with Accept: text/event-stream reports the state of each task, and then the verdict once',
    async run() {
      const harness = createHarness()
      const { swarm, get } = harness
      swarm.addService('blog', { replicas: 2 })
      swarm.onUpdate = 'none'
      const { response, events, ended } = await stream(harness, '/service/blog', putInit())
      equal(response.status, 200)
      equal(response.headers.get('Content-Type')?.startsWith('text/event-stream'), true)
      equal(response.headers.get('X-Accel-Buffering'), 'no')
      const location = String(response.headers.get('Location'))
      await until(() => events.length > 0)
      const rollout = swarm.rollout('blog')
      rollout.start(1)
      await until(() =>
        events.some((event) => JSON.stringify(statesOf(event)).includes('preparing')),
      )
      rollout.complete()
      await ended
      equal([...new Set(events.slice(0, -1).map(({ event }) => event))], ['progress'])
      const seen = events.find((event) => JSON.stringify(statesOf(event)).includes('preparing'))
      equal(seen && statesOf(seen), [
        [1, 'preparing'],
        [2, 'running'],
      ])
      equal([seen?.data.verdict, seen?.data.running, seen?.data.desired], ['pending', 0, 2])
      equal(typeof seen?.data.message, 'string')
      const last = events.at(-1)
      equal([last?.event, last?.data.verdict], ['verdict', 'converged'])
      equal(last?.data, (await get(location)).body)
      equal(location, `/deployments/${last?.data.deploymentId}`)
    },
  },
  {
    name: 'the verdict event of a failure has the JSON of the plain response, with problem and evidence',
    async run() {
      const harness = createHarness()
      const { swarm, begin, get } = harness
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      const pending = await harness.put('blog')
      const path = String(pending.headers.get('Location'))
      const { events, ended } = await stream(harness, path)
      rollout.rollBack()
      const plain = await answer
      await ended
      const verdicts = events.filter(({ event }) => event === 'verdict')
      equal(verdicts, [{ event: 'verdict', data: plain.body }])
      equal([plain.body.code, plain.body.status], ['rollout-failed', 424])
      equal((await get(path)).body, plain.body)
    },
  },
  {
    name: 'a deployment that has ended is one event',
    async run() {
      const harness = createHarness()
      const { swarm, put } = harness
      swarm.addService('blog', { replicas: 0 })
      const { headers, body } = await put('blog', { query: '?wait=50' })
      const { events, ended } = await stream(harness, String(headers.get('Location')))
      await ended
      equal(events, [{ event: 'verdict', data: body }])
    },
  },
  {
    name: 'a stream with a wait ends when the wait is over, with the content of the plain response',
    async run() {
      const harness = createHarness()
      const { swarm, put, get } = harness
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const { headers } = await put('blog')
      swarm.rollout('blog').begin()
      const path = `${headers.get('Location')}?wait=0`
      const { events, ended } = await stream(harness, path)
      await ended
      const plain = await get(path)
      // What the rollout waits for is another text when tasks were read meanwhile.
      const { message: _, detail: __, ...data } = events.at(-1)?.data ?? {}
      const { message, detail, ...body } = plain.body
      equal([plain.status, events.at(-1)?.event, data], [504, 'verdict', body])
      equal([typeof message, typeof detail], ['string', 'string'])
    },
  },
  {
    name: 'a request that is rejected is answered with a problem document, not with a stream',
    async run() {
      const harness = createHarness()
      const { app, swarm } = harness
      swarm.addService('blog')
      swarm.setImage('me/app:v2', new DeployerError('image-not-found', 'Cannot find it'))
      const refused = [
        ['/service/blog', putInit(), 422, 'image-not-found'],
        ['/service/nosuch', putInit(), 404, 'service-not-found'],
        ['/service/blog?wait=x', putInit(), 400, 'malformed-request'],
        ['/deployments/x', {}, 404, 'deployment-not-found'],
      ] as const
      for (const [path, init, status, code] of refused) {
        const answer = await read(await app.request(path, { headers: STREAM, ...init }))
        equal([path, answer.status, answer.body.code], [path, status, code])
        equal(answer.headers.get('Content-Type'), 'application/problem+json')
      }
    },
  },
  {
    name: 'only a client that accepts event streams gets one',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { replicas: 0 })
      for (const [Accept, isStream] of [
        ['*/*', false],
        ['application/json', false],
        ['text/event-streams', false],
        ['text/event-stream', true],
        ['application/json, text/event-stream;q=0.5', true],
      ] as const) {
        const request = put('blog', { headers: { Accept } }).then(
          ({ headers }) => headers.get('Content-Type')?.startsWith('text/event-stream') === true,
          () => true,
        )
        equal([Accept, await request], [Accept, isStream])
      }
    },
  },
  {
    name: 'tasks are no longer read after the client has hung up',
    async run() {
      const harness = createHarness()
      const { swarm, begin } = harness
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      const { headers } = await harness.put('blog')
      const { events, cancel } = await stream(harness, String(headers.get('Location')))
      await until(() => events.length >= 2)
      await cancel()
      const readsTasks = (): number => swarm.calls.filter((call) => call.startsWith('tasks')).length
      const before = readsTasks()
      await new Promise((resolve) => setTimeout(resolve, 1100))
      equal(readsTasks() - before <= 1, true)
      const after = readsTasks()
      await new Promise((resolve) => setTimeout(resolve, 1100))
      equal(readsTasks(), after)
      rollout.complete()
      equal((await answer).body.verdict, 'converged')
    },
  },
  {
    name: 'when Deployer shuts down, a stream ends with the last known state',
    async run() {
      const stop = new AbortController()
      const harness = createHarness({ signal: stop.signal })
      const { swarm, put } = harness
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const { headers } = await put('blog')
      const { events, ended } = await stream(harness, String(headers.get('Location')))
      stop.abort()
      await ended
      equal([events.at(-1)?.event, events.at(-1)?.data.verdict], ['verdict', 'pending'])
    },
  },
]
