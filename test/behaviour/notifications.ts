// Behaviour of notifications: the events of deployments, with and without a waiting caller.

import { DeployerError } from '../../src/errors.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import { createOutbox } from '../../src/notification/outbox.ts'
import { equal } from '../support/assert-json-equal.ts'
import type { FakeRollout } from '../support/fake-rollout.ts'
import { createFakeSpool } from '../support/fake-spool.ts'
import type { FakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'
import {
  type Case,
  createHarness,
  digestOfPinned,
  holdUpdates,
  pass,
  pinned,
  read,
  TOKEN,
  until,
} from './harness.ts'

interface Ending {
  readonly name: string
  readonly verdict: string
  steer(rollout: FakeRollout, swarm: FakeSwarm): void
}

const ENDINGS: readonly Ending[] = [
  { name: 'completes', verdict: 'converged', steer: (rollout) => rollout.complete() },
  { name: 'is rolled back', verdict: 'rolled-back', steer: (rollout) => rollout.rollBack() },
  { name: 'is paused', verdict: 'paused', steer: (rollout) => rollout.pause() },
  { name: 'fails', verdict: 'failed', steer: (rollout) => rollout.failAndComplete() },
  { name: 'is removed', verdict: 'removed', steer: (_, swarm) => swarm.remove('blog') },
  {
    name: 'is overwritten by another client',
    verdict: 'superseded',
    steer: (rollout) => {
      rollout.begin()
      rollout.rollBackByHand()
    },
  },
]

/** A body for `put`. */
function requestBody(image: string, metadata: unknown): string {
  return JSON.stringify({ image, metadata })
}

export const notifications: readonly Case[] = [
  ...ENDINGS.flatMap(({ name, verdict, steer }) =>
    ['', '?wait=50'].map((query) => ({
      name: `a rollout that ${name} sends ${verdict} once, ${query === '' ? 'without a waiting caller' : 'to notifier and caller'}`,
      async run() {
        const { swarm, notifier, put } = createHarness()
        swarm.addService('blog')
        swarm.onUpdate = 'none'
        const answer = put('blog', { query })
        await until(() => notifier.eventNames('blog').length === 1)
        equal(notifier.eventNames('blog'), ['accepted'])
        steer(swarm.rollout('blog'), swarm)
        await until(() => notifier.eventNames('blog').length > 1)
        await answer
        await pass()
        equal(notifier.eventNames('blog'), ['accepted', verdict])
      },
    })),
  ),
  {
    name: 'a rollout that takes too long sends timed-out',
    async run() {
      const { swarm, notifier, put } = createHarness({ rolloutTimeoutMs: 20 })
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      await put('blog')
      await until(() => notifier.eventNames('blog').length === 2)
      equal(notifier.eventNames('blog'), ['accepted', 'timed-out'])
      const error = notifier.events.at(-1)?.error ?? ''
      equal([error.length > 10, error.includes('\n')], [true, false])
    },
  },
  {
    name: 'the events of a deployment have all its members, and the metadata of the request',
    async run() {
      const { swarm, notifier, put } = createHarness()
      const { ID } = swarm.addService('blog', { image: 'me/blog:v1' })
      swarm.onUpdate = 'none'
      swarm.logs.set('default', 'a line of the log, with a secret')
      const metadata = { commit: '1f0a3c4', run_url: 'https://ci.example.com/1' }
      const answer = put('blog', { body: requestBody('me/blog:v2', metadata), query: '?wait=50' })
      await until(() => notifier.eventNames('blog').length === 1)
      const rollout = swarm.rollout('blog')
      rollout.fail({ error: 'task: non-zero exit (3)', exitCode: 3 })
      rollout.pause()
      const { body } = await answer
      await until(() => notifier.eventNames('blog').length === 2)
      const [accepted, paused] = notifier.events
      const same = {
        service: 'blog',
        serviceId: ID,
        image: 'me/blog:v2',
        digest: digestOfPinned('me/blog:v2'),
        previous: 'me/blog:v1',
        deploymentId: body.deploymentId,
        caller: 'token',
        startedAt: body.startedAt,
        metadata,
      }
      const { id = '', ...first } = accepted ?? {}
      equal(first, { event: 'accepted', ...same, error: '', endedAt: '' })
      const { id: secondId, error = '', ...second } = paused ?? {}
      equal(second, { event: 'paused', ...same, endedAt: body.endedAt })
      equal(/^msg_[0-9a-f]{32}_accepted$/.test(id), true)
      equal(secondId, id.replace('accepted', 'paused'))
      equal(error.startsWith('update paused due to failure'), true)
      equal(error.endsWith('task 1 on node1 failed: task: non-zero exit (3), exit code 3'), true)
      equal(error.includes('secret'), false)
    },
  },
  {
    name: 'messages of different deployments have different IDs',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      await put('blog', { image: 'me/app:v2', query: '?wait=50' })
      await put('blog', { image: 'me/app:v3', query: '?wait=50' })
      await until(() => notifier.events.length === 4)
      equal(new Set(notifier.events.map(({ id }) => id)).size, 4)
      equal(notifier.eventNames('blog'), ['accepted', 'converged', 'accepted', 'converged'])
    },
  },
  {
    name: 'an unchanged deployment sends accepted, then unchanged, without an error',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog', { image: pinned('me/app:v2') })
      await put('blog', { image: 'me/app:v2' })
      await until(() => notifier.eventNames('blog').length === 2)
      equal(notifier.eventNames('blog'), ['accepted', 'unchanged'])
      const last = notifier.events.at(-1)
      equal([last?.error, last?.endedAt === ''], ['', false])
    },
  },
  {
    name: 'a request that is superseded before its update is sent sends superseded only',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdUpdates(swarm)
      const images = ['me/app:v2', 'me/app:v3', 'me/app:v4']
      const answers: ReturnType<typeof put>[] = []
      for (const image of images) {
        answers.push(put('blog', { image }))
        await pass()
        await pass()
      }
      letGo()
      await Promise.all(answers)
      await until(() => notifier.events.length === 5)
      const eventsOf = (image: string): readonly string[] =>
        notifier.events.filter((event) => event.image === image).map(({ event }) => event)
      equal(images.map(eventsOf), [
        ['accepted', 'superseded'],
        ['superseded'],
        ['accepted', 'converged'],
      ])
    },
  },
  {
    name: 'the end of a deployment is sent before the start of the one that replaces it',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      await put('blog', { image: 'me/app:v2' })
      await put('blog', { image: 'me/app:v3' })
      await until(() => notifier.events.length === 3)
      equal(notifier.eventNames('blog'), ['accepted', 'superseded', 'accepted'])
    },
  },
  {
    name: 'requests that share a deployment send its events once',
    async run() {
      const { swarm, notifier, logger, put } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const headers = { 'Idempotency-Key': '1' }
      const answers = [put('blog'), put('blog'), put('blog', { headers })]
      await until(() => notifier.events.length > 0)
      answers.push(put('blog', { query: '?wait=50' }), put('blog', { headers }))
      // A key is hashed asynchronously: that takes more than a pass.
      const isAccepted = ({ message }: { message: string }) => message === 'deployment accepted'
      await until(() => logger.lines.filter(isAccepted).length === answers.length)
      swarm.rollout('blog').complete()
      await Promise.all(answers)
      await until(() => notifier.events.length >= 2)
      await pass()
      equal(notifier.eventNames('blog'), ['accepted', 'converged'])
    },
  },
  {
    name: 'a request for a deployment by its ID sends no events',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      first.swarm.onUpdate = 'none'
      const { body } = await first.put('blog')
      const second = createHarness({ swarm: first.swarm })
      const answer = second.get(`/deployments/${body.deploymentId}?wait=50`)
      await pass()
      first.swarm.rollout('blog').complete()
      equal((await answer).body.verdict, 'converged')
      await pass()
      equal([first.notifier.events.length, second.notifier.events.length], [2, 0])
    },
  },
  {
    name: 'a rejected request of a valid caller sends refused, with the reason and the metadata',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('shop', { labels: {} })
      swarm.addService('blog')
      const missing = new DeployerError('image-not-found', 'Cannot find image me/app:missing')
      swarm.setImage('docker.io/me/app:missing', missing)
      const answers = [
        await put('shop', { body: requestBody('me/app:v2', { commit: 'a1' }) }),
        await put('blog', { image: 'me/app:missing' }),
        await put('nowhere', {}),
        await put('blog', { body: '{"image":"me/app:v2","expect":"me/app:v9"}' }),
      ]
      equal(
        answers.map(({ body }) => body.code),
        ['updates-not-allowed', 'image-not-found', 'service-not-found', 'image-mismatch'],
      )
      await until(() => notifier.events.length === 4)
      equal(
        notifier.events.map(({ event, error }) => [event, error]),
        answers.map(({ body }) => ['refused', body.detail]),
      )
      const [{ id, error, startedAt, endedAt, ...rest }] = notifier.events as [DeploymentEvent]
      equal(rest, {
        event: 'refused',
        service: 'shop',
        serviceId: '',
        image: 'me/app:v2',
        digest: '',
        previous: '',
        deploymentId: '',
        caller: 'token',
        metadata: { commit: 'a1' },
      })
      equal([new Date(startedAt).toISOString(), endedAt], [startedAt, startedAt])
      equal(new Set(notifier.events.map((event) => event.id)).size, 4)
    },
  },
  {
    name: 'errors that the caller can correct send refused, with the time of the engine and a short reason',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.clock = () => Date.parse('2026-01-01T00:00:00.000Z')
      swarm.addService('plugin', { spec: { TaskTemplate: { PluginSpec: {}, Runtime: 'plugin' } } })
      swarm.addService('blog')
      const unreadable = new DeployerError('image-not-readable', 'Cannot read the image')
      swarm.setImage('private.example/me/app:v2', unreadable)
      swarm.setImage('docker.io/me/app:arm', {
        platforms: [{ Architecture: 'arm64', OS: 'linux' }],
      })
      const answers = [
        await put('plugin'),
        await put('blog', { image: 'private.example/me/app:v2' }),
        await put('blog', { image: 'me/app:arm' }),
        await put('x'.repeat(150)),
      ]
      equal(
        answers.map(({ body }) => body.code),
        ['unsupported-service', 'image-not-readable', 'no-suitable-node', 'service-not-found'],
      )
      await until(() => notifier.events.length === 4)
      equal(
        notifier.events.map(({ event, service, startedAt }) => [event, service, startedAt]),
        ['plugin', 'blog', 'blog', 'x'.repeat(100)].map((service) => [
          ...['refused', service, '2026-01-01T00:00:00.000Z'],
        ]),
      )
    },
  },
  {
    name: 'a deployment of another process that a request joins sends its events in this process too',
    async run() {
      const first = createHarness()
      const { swarm } = first
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      await first.put('blog')
      const second = createHarness({ swarm })
      const answer = second.put('blog', { query: '?wait=50' })
      await until(() => second.notifier.events.length === 1)
      swarm.rollout('blog').complete()
      await answer
      await until(() => second.notifier.events.length === 2)
      equal(second.notifier.eventNames('blog'), ['accepted', 'converged'])
    },
  },
  {
    name: 'a request for an image that failed before sends events again',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      await put('blog')
      swarm.rollout('blog').failAndComplete()
      await until(() => notifier.events.length === 2)
      await put('blog')
      await until(() => notifier.events.length === 4)
      equal(notifier.eventNames('blog'), ['accepted', 'failed', 'accepted', 'failed'])
      equal(new Set(notifier.events.map(({ id }) => id)).size, 4)
    },
  },
  {
    name: 'requests that share a deployment send accepted once when the notifier receives no verdicts',
    async run() {
      const { swarm, notifier, put } = createHarness({ notifierEvents: ['accepted'] })
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      await put('blog')
      await until(() => notifier.events.length === 1)
      await pass()
      await put('blog')
      await pass()
      equal(notifier.eventNames('blog'), ['accepted'])
    },
  },
  {
    name: 'the service name of a rejected request is one line in its event',
    async run() {
      const { notifier, put } = createHarness()
      await put('a%0Ab%E2%80%A8c%1b')
      await until(() => notifier.events.length === 1)
      equal(notifier.events[0]?.service, 'a b c')
    },
  },
  {
    name: 'a stored deployment that is accepted at the end is not logged as lost',
    async run() {
      const stop = new AbortController()
      const spool = createFakeSpool()
      const { swarm, put, logger } = createHarness({ spool, signal: stop.signal })
      swarm.addService('blog', { image: pinned('me/app:v2') })
      stop.abort()
      equal((await put('blog', { image: 'me/app:v2' })).status, 200)
      equal(
        logger.lines.some(({ message }) => message === 'verdict will not be sent'),
        false,
      )
    },
  },
  {
    name: 'a wrong token, a malformed request, a dry run and an unreachable engine send no events',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('shop', { labels: {} })
      await put('shop', { headers: { Authorization: 'WRONG' } })
      await put('shop', { body: '{"image":' })
      await put('shop', { image: 'me/app:UPPER?' })
      await put('shop', { query: '?dryRun=true' })
      swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
      await put('shop')
      await pass()
      equal(notifier.events, [])
    },
  },
  ...(
    [
      [{ 'run-url': 'x' }, 'run-url'],
      [{ commit: 1 }, 'commit'],
      [['a'], 'metadata'],
      ['text', 'metadata'],
      [{ commit: 'x'.repeat(1025) }, 'commit'],
    ] as const
  ).map(([metadata, named]) => ({
    name: `metadata ${JSON.stringify(metadata).slice(0, 30)} is rejected`,
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const { status, body } = await put('blog', { body: requestBody('me/app:v2', metadata) })
      equal([status, body.code], [400, 'malformed-request'])
      equal(String(body.detail).includes(named), true)
      equal(swarm.calls, [])
    },
  })),
  {
    name: 'a notifier that fails at the start receives the end',
    async run() {
      const events: string[] = []
      const { swarm, logger, put } = createHarness({
        notifier({ event }) {
          events.push(event)
          if (event === 'accepted') {
            throw new Error('the chat is away')
          }
        },
      })
      swarm.addService('blog')
      await put('blog', { query: '?wait=50' })
      await until(() => events.length === 2)
      equal(events, ['accepted', 'converged'])
      const [line] = logger.lines.filter(({ message }) => message === 'message not delivered')
      equal([line?.reason, line?.event, line?.service], ['the chat is away', 'accepted', 'blog'])
    },
  },
  {
    name: 'an update whose response was lost sends its events once the engine shows that it took it',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const fault = new DeployerError('engine-unreachable', 'Cannot reach the engine')
      swarm.afterUpdate = () => {
        swarm.failure = fault
        throw fault
      }
      equal((await put('blog')).body.code, 'engine-unreachable')
      await pass()
      equal(notifier.events, [])
      swarm.failure = undefined
      await until(() => notifier.events.length === 1)
      swarm.rollout('blog').complete()
      await until(() => notifier.events.length === 2)
      equal(notifier.eventNames('blog'), ['accepted', 'converged'])
    },
  },
  {
    name: 'a notifier receives the events that it wants, and no others',
    async run() {
      for (const wanted of ['accepted', 'converged', 'refused'] as const) {
        const spool = createFakeSpool()
        const { swarm, notifier, put } = createHarness({ notifierEvents: [wanted], spool })
        swarm.addService('blog')
        swarm.addService('shop', { labels: {} })
        await put('shop')
        await put('blog', { query: '?wait=50' })
        await until(() => notifier.events.length === 1 && spool.records.size === 0)
        await pass()
        equal(
          notifier.events.map(({ event }) => event),
          [wanted],
        )
      }
    },
  },
  {
    name: 'no verdict is logged as lost at the end when the notifier receives none',
    async run() {
      const stop = new AbortController()
      const { swarm, logger, put } = createHarness({
        notifierEvents: ['accepted', 'refused'],
        signal: stop.signal,
      })
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      await put('blog')
      await pass()
      stop.abort()
      equal(
        logger.lines.map(({ message }) => message),
        ['deployment accepted'],
      )
    },
  },
  {
    name: 'a verdict that is not known at the end is logged as lost',
    async run() {
      const stop = new AbortController()
      const { swarm, logger, put, notifier } = createHarness({ signal: stop.signal })
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const { body } = await put('blog')
      await until(() => notifier.events.length === 1)
      stop.abort()
      equal(
        logger.lines.filter(({ message }) => message === 'verdict will not be sent'),
        [
          {
            level: 'warn',
            message: 'verdict will not be sent',
            service: 'blog',
            image: 'me/app:v2',
            deploymentId: body.deploymentId,
          },
        ],
      )
    },
  },
  {
    name: 'a slow notifier receives the end of a deployment before the start of the next one',
    async run() {
      const received: string[] = []
      let take = (): void => {}
      const taken = new Promise<void>((resolve) => {
        take = resolve
      })
      const { swarm, put } = createHarness({
        notifier({ event, image }) {
          received.push(`${event} ${image}`)
          return taken
        },
      })
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      await put('blog', { image: 'me/app:v2' })
      await put('blog', { image: 'me/app:v3' })
      await pass()
      take()
      await until(() => received.length === 3)
      equal(received, ['accepted me/app:v2', 'superseded me/app:v2', 'accepted me/app:v3'])
    },
  },
  {
    name: 'a notifier that never resolves for one service receives events of others, and delays no response',
    async run() {
      const received: string[] = []
      const { swarm, put } = createHarness({
        notifier({ event, service }) {
          received.push(`${event} ${service}`)
          return service === 'blog' ? new Promise<void>(() => {}) : undefined
        },
      })
      swarm.addService('blog')
      swarm.addService('shop')
      const { body } = await put('blog', { query: '?wait=50' })
      equal(body.verdict, 'converged')
      await put('shop', { query: '?wait=50' })
      await until(() => received.length === 3)
      equal(received, ['accepted blog', 'accepted shop', 'converged shop'])
    },
  },
  {
    name: 'an update whose response was lost sends its events once, also when requests join it',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const fault = new DeployerError('engine-unreachable', 'Cannot reach the engine')
      swarm.afterUpdate = () => {
        swarm.failure = fault
        throw fault
      }
      await put('blog', { body: requestBody('me/app:v2', { n: '1' }) })
      swarm.failure = undefined
      await put('blog', { body: requestBody('docker.io/me/app:v2', { n: '2' }) })
      swarm.rollout('blog').complete()
      await until(() => notifier.events.length >= 2)
      await pass()
      equal(
        notifier.events.map(({ event, metadata }) => [event, metadata.n]),
        [
          ['accepted', '1'],
          ['converged', '1'],
        ],
      )
    },
  },
  {
    name: 'an update whose response was lost, and that another client overwrote, sends its events',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      swarm.afterUpdate = () => {
        swarm.afterUpdate = () => {}
        const image = 'me/app:v9'
        swarm.change('blog', ({ TaskTemplate, ...spec }) => {
          const ContainerSpec = { ...TaskTemplate.ContainerSpec, Image: image }
          return { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } }
        })
        throw new DeployerError('engine-unreachable', 'Cannot reach the engine')
      }
      equal((await put('blog')).body.code, 'engine-unreachable')
      await until(() => notifier.events.length === 2)
      // It may have converged before it was overwritten.
      equal(notifier.eventNames('blog'), ['accepted', 'unknown'])
    },
  },
  {
    name: 'a runtime that ends work with the response waits for the notifier, also after a rejected request',
    async run() {
      let take = (): void => {}
      const notifier = () =>
        new Promise<void>((resolve) => {
          take = resolve
        })
      const { app, swarm } = createHarness({ notifier, notifierEvents: ['accepted', 'refused'] })
      swarm.addService('blog')
      swarm.addService('shop', { labels: {} })
      for (const [name, status] of [
        ['blog', 200],
        ['shop', 403],
      ] as const) {
        const { context, waitedFor } = executionContext()
        equal((await app.fetch(putRequest(name), {}, context)).status, status)
        let isDone = false
        const done = Promise.all(waitedFor).then(() => {
          isDone = true
        })
        await pass()
        equal([waitedFor.length > 0, isDone], [true, false])
        take()
        await done
      }
    },
  },
  {
    name: 'a runtime that ends work with the response waits for the notifier of a verdict that the caller waited for',
    async run() {
      let take = (): void => {}
      const notifier = () =>
        new Promise<void>((resolve) => {
          take = resolve
        })
      const { app, swarm } = createHarness({ notifier, notifierEvents: ['converged'] })
      swarm.addService('blog')
      const { context, waitedFor } = executionContext()
      const response = await app.fetch(putRequest('blog', '?wait=50'), {}, context)
      equal((await read(response)).body.verdict, 'converged')
      let isDone = false
      const done = Promise.all(waitedFor).then(() => {
        isDone = true
      })
      await pass()
      equal([waitedFor.length > 0, isDone], [true, false])
      take()
      await done
    },
  },
  ...(
    [
      ['GET with wait', '?wait=50', 'application/json'],
      ['an event stream', '', 'text/event-stream'],
    ] as const
  ).map(([how, query, Accept]) => ({
    name: `a runtime that ends work with the response waits for the notifier of a verdict that ${how} waited for`,
    async run() {
      let take = (): void => {}
      const notifier = () =>
        new Promise<void>((resolve) => {
          take = resolve
        })
      const { app, swarm } = createHarness({ notifier, notifierEvents: ['converged'] })
      swarm.onUpdate = 'none'
      swarm.addService('blog')
      const location = (await app.fetch(putRequest('blog'))).headers.get('Location')
      const { context, waitedFor } = executionContext()
      const headers = { Authorization: TOKEN, Accept }
      const request = new Request(`http://deployer${location}${query}`, { headers })
      const text = Promise.resolve(app.fetch(request, {}, context)).then((one) => one.text())
      await pass()
      swarm.rollout('blog').complete()
      equal(/"verdict":\s*"converged"/.test(await text), true)
      let isDone = false
      const done = Promise.all(waitedFor).then(() => {
        isDone = true
      })
      await pass()
      equal([waitedFor.length > 0, isDone], [true, false])
      take()
      await done
    },
  })),
  {
    name: 'a runtime that ends work with the response waits for the first delivery attempt of an outbox',
    async run() {
      for (const result of ['delivered', 'failed']) {
        let finish = (): void => {}
        const attempt = new Promise<void>((resolve, reject) => {
          finish = result === 'delivered' ? resolve : () => reject(new Error('unreachable'))
        })
        const deliver = () => attempt
        const destinations = [{ name: 'chat', events: ['accepted'] as const, deliver }]
        const outbox = createOutbox({ destinations, logger: createRecordingLogger() })
        const { app, swarm } = createHarness({ notifier: outbox.notify })
        swarm.addService('blog')
        const { context, waitedFor } = executionContext()
        equal((await app.fetch(putRequest('blog'), {}, context)).status, 200)
        let isDone = false
        const done = Promise.all(waitedFor).then(() => {
          isDone = true
        })
        await pass()
        equal([waitedFor.length > 0, isDone], [true, false])
        finish()
        await done
        equal(outbox.counts()[0]?.waiting, result === 'delivered' ? 0 : 1)
        await outbox.close(0)
      }
    },
  },
  {
    name: 'an update that the engine refuses is refused, and nothing else; the service is not read again',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      swarm.beforeUpdate = () => swarm.remove('blog')
      equal((await put('blog')).status, 404)
      await until(() => notifier.events.length > 0)
      await pass()
      equal(swarm.calls.at(-1), 'update blog')
      equal(
        notifier.events.map(({ event }) => event),
        ['refused'],
      )
    },
  },
  {
    name: 'an update that the engine takes after its call failed sends its events',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      const { updateService } = swarm
      swarm.updateService = async (...update) => {
        setTimeout(() => void updateService(...update), 20)
        throw new DeployerError('no-quorum', 'Cannot update the service')
      }
      equal((await put('blog')).body.code, 'no-quorum')
      await until(() => notifier.events.length === 1)
      swarm.rollout('blog').complete()
      await until(() => notifier.events.length === 2)
      equal(notifier.eventNames('blog'), ['accepted', 'converged'])
    },
  },
]

/** An execution context as of workerd, and the work that it has to wait for. */
function executionContext() {
  const waitedFor: Promise<unknown>[] = []
  const context = {
    waitUntil: (work: Promise<unknown>) => void waitedFor.push(work),
    passThroughOnException() {},
    props: {},
  }
  return { context, waitedFor }
}

function putRequest(name: string, query = ''): Request {
  return new Request(`http://deployer/service/${name}${query}`, {
    ...{ method: 'PUT', body: '{"image":"me/app:v2"}', headers: { Authorization: TOKEN } },
  })
}
