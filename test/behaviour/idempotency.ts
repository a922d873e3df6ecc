// Behaviour of repeated requests, with and without an Idempotency-Key.

import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import type { FakeRollout } from '../support/fake-rollout.ts'
import {
  type Case,
  countCalls,
  createHarness,
  holdUpdates,
  imageOf,
  type PutOptions,
  pass,
  pinned,
} from './harness.ts'

const WAIT = '?wait=50'

function keyed(key: string, init: PutOptions = {}): PutOptions {
  return { query: WAIT, ...init, headers: { 'Idempotency-Key': key } }
}

const ENDS: readonly (readonly [string, number, (rollout: FakeRollout) => void])[] = [
  ['converged', 200, (rollout) => rollout.complete()],
  ['rolled-back', 424, (rollout) => rollout.rollBack()],
  ['paused', 424, (rollout) => rollout.pause()],
  ['failed', 424, (rollout) => rollout.failAndComplete()],
]

export const idempotency: readonly Case[] = [
  ...ENDS.map(([verdict, status, steer]) => ({
    name: `the same key after a deployment that is ${verdict} gets the same response, and writes nothing`,
    async run() {
      const { swarm, begin, put, notifier } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog', keyed('one'))
      steer(rollout)
      const first = await answer
      equal([first.status, first.body.verdict], [status, verdict])
      const again = await put('blog', keyed('one'))
      equal([again.status, again.body], [first.status, first.body])
      equal([countCalls(swarm, 'update'), notifier.accepted().length], [1, 1])
    },
  })),
  {
    name: 'the same key joins the first request before that is written',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdUpdates(swarm)
      const answers = [put('blog', keyed('one')), put('blog', keyed('one'))]
      await pass()
      letGo()
      const [one, other] = await Promise.all(answers)
      equal([one?.status, other?.body], [200, one?.body])
      equal([countCalls(swarm, 'update'), countCalls(swarm, 'resolve')], [1, 1])
    },
  },
  {
    name: 'the same key joins its own deployment after a later one, and does not deploy again',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      equal((await put('blog', keyed('one'))).body.verdict, 'converged')
      equal((await put('blog', keyed('two', { image: 'me/app:v3' }))).body.verdict, 'converged')
      const again = await put('blog', keyed('one'))
      equal([again.body.verdict, again.body.image], ['converged', 'me/app:v2'])
      equal(imageOf(swarm, 'blog'), pinned('me/app:v3'))
    },
  },
  {
    name: 'the same key with another body is 422 idempotency-key-reused, here and in another process',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      await put('blog', keyed('one'))
      const other = createHarness({ swarm })
      const bodies = [
        { image: 'me/app:v3' },
        { image: 'me/app:v2', force: true },
        { image: 'me/app:v2', expect: 'me/app:v1' },
        { force: true },
      ]
      for (const process of [put, other.put]) {
        for (const body of bodies) {
          const init = keyed('one', { body: JSON.stringify(body) })
          const { status, body: problem } = await process('blog', init)
          equal([body, status, problem.code], [body, 422, 'idempotency-key-reused'])
        }
      }
      equal(countCalls(swarm, 'update'), 1)
    },
  },
  {
    name: 'the same values in a differently formatted body are the same request',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const first = await put('blog', keyed('one'))
      const body = ' {"force": false, "more": 1, "image": "me/app:v2"}'
      equal((await put('blog', keyed('one', { body }))).body, first.body)
    },
  },
  {
    name: 'a key is free again after a rejected request, and after an error of the engine',
    async run() {
      const { swarm, put } = createHarness()
      equal((await put('blog', keyed('one'))).body.code, 'service-not-found')
      swarm.addService('blog')
      swarm.setImage('me/app:v2', new DeployerError('image-not-found', 'Cannot find it'))
      equal((await put('blog', keyed('one'))).body.code, 'image-not-found')
      equal((await put('blog', keyed('one', { image: 'me/app:v3' }))).status, 200)
      swarm.failure = new DeployerError('no-quorum', 'Cannot do it')
      equal((await put('blog', keyed('two', { image: 'me/app:v4' }))).body.code, 'no-quorum')
      swarm.failure = undefined
      equal((await put('blog', keyed('two', { image: 'me/app:v4' }))).body.verdict, 'converged')
    },
  },
  {
    name: 'the same key for another service is another key',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      swarm.addService('shop')
      equal((await put('blog', keyed('one'))).body.verdict, 'converged')
      const { body } = await put('shop', keyed('one', { image: 'me/shop:v3' }))
      equal([body.verdict, body.service], ['converged', 'shop'])
    },
  },
  {
    name: 'a new process joins the deployment of a key while the service has its record',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const { answer, rollout } = await first.begin('blog', keyed('one'))
      rollout.pause()
      const { body } = await answer
      const second = createHarness({ swarm: first.swarm })
      const again = await second.put('blog', keyed('one'))
      equal([again.body.verdict, again.body.deploymentId], ['paused', body.deploymentId])
      equal(countCalls(first.swarm, 'update'), 1)
      equal([first.notifier.accepted().length, second.notifier.accepted().length], [1, 0])
    },
  },
  {
    name: 'a new process does not mistake a write by others for the deployment of a key: 410',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      await first.put('blog', keyed('one', { query: WAIT }))
      first.swarm.change('blog', (spec) => ({
        ...spec,
        TaskTemplate: { ContainerSpec: { Image: 'me/app:v9' } },
      }))
      first.swarm.rollout('blog').complete()
      const again = await createHarness({ swarm: first.swarm }).put('blog', keyed('one'))
      equal([again.status, again.body.verdict, again.body.resolved], [410, 'unknown', 'me/app:v2'])
      equal(countCalls(first.swarm, 'update'), 1)
    },
  },
  {
    name: 'a new process finds the key of an earlier deployment, with its verdict',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      await first.put('blog', keyed('one'))
      await first.put('blog', { image: 'me/app:v3', query: WAIT })
      const second = createHarness({ swarm: first.swarm })
      const { status, body } = await second.put('blog', keyed('one'))
      equal([status, body.verdict, body.image], [200, 'converged', 'me/app:v2'])
      equal(imageOf(first.swarm, 'blog'), pinned('me/app:v3'))
    },
  },
  {
    name: 'the service has a hash of the key, not the key itself',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      await put('blog', keyed('my-secret-key'))
      equal(JSON.stringify(swarm.spec('blog')).includes('my-secret-key'), false)
      const record = swarm.spec('blog').Labels?.['deployer.deployments'] ?? ''
      equal(/\/[0-9a-f]{24}\.[0-9a-f]{24}\/[0-9a-f]{8}$/.test(record), true)
    },
  },
  {
    name: 'a key of more than 255 characters is 400, and an empty one is ignored',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { replicas: 0 })
      equal((await put('blog', keyed('x'.repeat(256)))).body.code, 'malformed-request')
      equal((await put('blog', keyed('x'.repeat(255)))).status, 200)
      equal((await put('blog', keyed('', { image: 'me/app:v3' }))).status, 200)
      equal((await put('blog', keyed('', { image: 'me/app:v4' }))).status, 200)
    },
  },
  {
    name: 'without a key, the same image joins the rollout in progress',
    async run() {
      const { swarm, begin, put } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog', { image: 'nginx' })
      rollout.begin()
      const ids = []
      for (const image of ['nginx:latest', 'docker.io/library/nginx', 'nginx']) {
        const { status, body } = await put('blog', { image, query: '?wait=0' })
        equal([image, status, body.verdict], [image, 504, 'pending'])
        ids.push(body.deploymentId)
      }
      rollout.complete()
      ids.push((await answer).body.deploymentId)
      equal([new Set(ids).size, countCalls(swarm, 'update')], [1, 1])
    },
  },
  {
    name: 'another process also joins a rollout in progress, with the same ID',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const { answer, rollout } = await first.begin('blog')
      rollout.begin()
      const second = createHarness({ swarm: first.swarm })
      const joined = await second.put('blog', { query: '?wait=0' })
      equal(joined.status, 504)
      rollout.complete()
      equal((await answer).body.deploymentId, joined.body.deploymentId)
      equal(countCalls(first.swarm, 'update'), 1)
    },
  },
  {
    name: 'another tag with the same digest is written',
    async run() {
      const { swarm, put } = createHarness()
      const digest = `sha256:${'d'.repeat(64)}`
      swarm.setImage('me/app:v2', { digest })
      swarm.setImage('me/app:latest', { digest })
      swarm.addService('blog')
      equal((await put('blog', { query: WAIT })).body.verdict, 'converged')
      const { body } = await put('blog', { image: 'me/app:latest', query: WAIT })
      equal([body.verdict, body.resolved], ['converged', `me/app:latest@${digest}`])
      equal(countCalls(swarm, 'update'), 2)
    },
  },
  {
    name: 'restarts with different keys are not merged: each is written, or superseded by a later one',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const release = holdUpdates(swarm)
      const restart = (key: string): ReturnType<typeof put> =>
        put('blog', {
          body: JSON.stringify({ image: 'me/app:v2', force: true }),
          headers: { 'Idempotency-Key': key },
        })
      const answers = ['run-1', 'run-2', 'run-3', 'run-3'].map(restart)
      await pass()
      await pass()
      release()
      const [first, second, third, repeated] = await Promise.all(answers)
      // Keys are hashed by other threads, so the requests may come in any order, also after the first write.
      const all = [first, second, third]
      equal(new Set(all.map((answer) => answer?.body.deploymentId)).size, 3)
      const written = all.filter((answer) => answer?.status === 200).length
      equal(swarm.spec('blog').TaskTemplate.ForceUpdate, written)
      equal(repeated?.body.deploymentId, third?.body.deploymentId)
    },
  },
]
