// Behaviour of requests for a service whose update, or rollback, the engine has paused.

import { equal } from '../support/assert-json-equal.ts'
import type { FakeSwarm } from '../support/fake-swarm.ts'
import {
  type Answer,
  type Case,
  countCalls,
  createHarness,
  type Harness,
  type HarnessOptions,
  imageOf,
  type PutOptions,
  pinned,
} from './harness.ts'

const V1 = pinned('me/app:v1')
const V2 = pinned('me/app:v2')
const RESUME = { body: JSON.stringify({ image: 'me/app:v2', resume: true }) }
const QUICK = { image: V1, spec: { UpdateConfig: { Monitor: 1_000_000 } } }
const COST = `After this write "docker service rollback blog" can no longer return to ${V1}: writing the same image again replaces the previous spec`
const NOTICE = `Nothing is written: the update of service "blog" to ${V2} is paused; deploy another image, return to ${V1} with "docker service rollback blog" or send the same image with "resume": true to continue, after which "docker service rollback blog" cannot return to ${V1}`

/** A service whose update from v1 to v2 is paused, and the response to its caller. */
async function pausedService(
  options?: HarnessOptions,
  init?: PutOptions,
): Promise<Harness & { readonly first: Answer }> {
  const harness = createHarness(options)
  harness.swarm.addService('blog', QUICK)
  const { answer, rollout } = await harness.begin('blog', init)
  rollout.pause()
  const first = await answer
  equal(first.body.verdict, 'paused')
  return { ...harness, first }
}

function previousImage(swarm: FakeSwarm): string | undefined {
  return swarm.service('blog').PreviousSpec?.TaskTemplate.ContainerSpec?.Image
}

function failedSlots({ body }: Answer): readonly unknown[] {
  const { tasks = [] } = body as { tasks?: readonly { slot: number; exitCode: number }[] }
  return tasks.map(({ slot, exitCode }) => [slot, exitCode])
}

export const paused: readonly Case[] = [
  {
    name: 'the same image on a paused update is paused, 424 immediately, with evidence; nothing is written',
    async run() {
      const { swarm, put, first } = await pausedService()
      const before = swarm.service('blog')
      for (const query of ['', '?wait=50']) {
        const again = await put('blog', { query })
        equal([again.status, again.body.code], [424, 'rollout-failed'])
        const { verdict, deploymentId, message, warnings } = again.body
        equal([verdict, deploymentId], ['paused', first.body.deploymentId])
        equal(message, first.body.message)
        equal(failedSlots(again), [[1, 1]])
        equal(warnings, [NOTICE])
        equal(String(again.body.detail).includes('"resume": true'), true)
      }
      equal([swarm.service('blog'), countCalls(swarm, 'update')], [before, 1])
      equal([previousImage(swarm), imageOf(swarm, 'blog')], [V1, V2])
    },
  },
  {
    name: 'the same image on a paused update gets the same verdict from another process',
    async run() {
      const { swarm } = await pausedService()
      const other = await createHarness({ swarm }).put('blog')
      equal([other.status, other.body.verdict, other.body.warnings], [424, 'paused', [NOTICE]])
      equal([failedSlots(other), countCalls(swarm, 'update')], [[[1, 1]], 1])
    },
  },
  {
    name: 'the image of a paused update of another client gets the same verdict, with evidence',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', QUICK)
      equal((await put('blog', { image: 'me/app:v1.1', query: '?wait=50' })).status, 200)
      swarm.onUpdate = 'none'
      swarm.change('blog', (spec) => ({
        ...spec,
        TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image: V2 } },
      }))
      swarm.rollout('blog').pause()
      swarm.clock = () => Date.now() + 3_600_000
      const answer = await put('blog')
      equal([answer.status, answer.body.verdict, failedSlots(answer)], [424, 'paused', [[1, 1]]])
      equal([countCalls(swarm, 'update'), previousImage(swarm)], [1, pinned('me/app:v1.1')])
    },
  },
  {
    name: 'with resume the same image is written again and judged again, and a warning names the consequence',
    async run() {
      const { swarm, begin, first } = await pausedService()
      const { answer, rollout } = await begin('blog', RESUME)
      rollout.run()
      const { status, body } = await answer
      equal([status, body.verdict, body.warnings], [200, 'converged', [COST]])
      equal([countCalls(swarm, 'update'), previousImage(swarm)], [2, V2])
      equal(body.deploymentId === first.body.deploymentId, false)
    },
  },
  {
    name: 'a paused update from the same image needs resume too, without a warning',
    async run() {
      const { swarm, begin, put } = await pausedService()
      const { answer, rollout } = await begin('blog', { body: '{"force":true}' })
      rollout.pause()
      equal((await answer).body.verdict, 'paused')
      const again = await put('blog')
      equal([again.status, countCalls(swarm, 'update')], [424, 2])
      equal(String(again.body.warnings).includes('docker service rollback'), false)
      const third = await put('blog', RESUME)
      equal([third.status, third.body.warnings, countCalls(swarm, 'update')], [200, undefined, 3])
    },
  },
  {
    name: 'resume changes nothing where no update to the same image is paused',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { image: V1 })
      const written = await put('blog', { ...RESUME, query: '?wait=50' })
      equal([written.body.verdict, written.body.warnings], ['converged', undefined])
      const unchanged = await put('blog', { ...RESUME, query: '?wait=50' })
      equal([unchanged.body.verdict, countCalls(swarm, 'update')], ['unchanged', 1])
      const alone = await put('blog', { body: '{"resume":true}' })
      equal([alone.status, alone.body.code], [400, 'malformed-request'])
      const wrong = await put('blog', { body: '{"image":"me/app:v2","resume":"true"}' })
      equal([wrong.status, wrong.body.code], [400, 'malformed-request'])
    },
  },
  {
    name: 'another image on a paused update is written as usual, without a warning',
    async run() {
      const { swarm, begin } = await pausedService()
      const { answer, rollout } = await begin('blog', { image: 'me/app:v3' })
      rollout.complete()
      const { body } = await answer
      equal([body.verdict, body.warnings], ['converged', undefined])
      equal(imageOf(swarm, 'blog'), pinned('me/app:v3'))
    },
  },
  {
    name: 'force writes the same image over a paused update, and a warning names the consequence',
    async run() {
      for (const body of ['{"force":true}', '{"force":true,"image":"me/app:v2"}']) {
        const { swarm, begin } = await pausedService()
        const { answer, rollout } = await begin('blog', { body })
        rollout.complete()
        const response = await answer
        equal([body, response.body.verdict, response.body.warnings], [body, 'converged', [COST]])
        equal(swarm.spec('blog').TaskTemplate.ForceUpdate, 1)
      }
    },
  },
  {
    name: 'force over a paused update works also where the image is no valid reference',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', QUICK)
      swarm.onUpdate = 'none'
      const ContainerSpec = { Image: `sha256:${'a'.repeat(64)}` }
      swarm.change('blog', (spec) => ({ ...spec, TaskTemplate: { ContainerSpec } }))
      swarm.rollout('blog').pause()
      const { status, body } = await put('blog', { body: '{"force":true}' })
      equal([status, body.warnings], [200, [COST]])
    },
  },
  {
    name: 'the image of a paused rollback is written, which tries it again',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog', QUICK)
      const first = await begin('blog')
      first.rollout.beginRollBack()
      first.rollout.pauseRollBack()
      equal((await first.answer).body.verdict, 'failed')
      equal(imageOf(swarm, 'blog'), V1)
      const { answer, rollout } = await begin('blog', { image: 'me/app:v1' })
      rollout.run()
      const { body } = await answer
      equal([body.verdict, body.warnings, countCalls(swarm, 'update')], ['converged', undefined, 2])
    },
  },
  {
    name: 'after a manual rollback that is paused, the warning names the image that is no longer available for rollback',
    async run() {
      const { swarm, begin } = await pausedService()
      swarm.rollout('blog').rollBackByHand()
      swarm.rollout('blog').pauseRollBack()
      equal([imageOf(swarm, 'blog'), previousImage(swarm)], [V1, V2])
      const { answer, rollout } = await begin('blog', { image: 'me/app:v1' })
      rollout.run()
      const { body } = await answer
      equal([body.verdict, body.warnings], ['converged', [COST.replace(V1, V2)]])
    },
  },
  {
    name: 'a dry run reports whether a paused update would be resumed, and the consequence',
    async run() {
      const { swarm, put } = await pausedService()
      const query = '?dryRun=true'
      const { body } = await put('blog', { query })
      equal([body.wouldUpdate, body.reason, body.warnings], [false, NOTICE, undefined])
      for (const text of [RESUME.body, '{"force":true}']) {
        const resumed = (await put('blog', { body: text, query })).body
        equal([text, resumed.wouldUpdate, resumed.warnings], [text, true, [COST]])
      }
      equal([countCalls(swarm, 'update'), previousImage(swarm)], [1, V1])
    },
  },
  {
    name: 'with Idempotency-Keys: the same key gives the same result, another key writes nothing, resume is another request',
    async run() {
      const keyed = (key: string): PutOptions => ({ headers: { 'Idempotency-Key': key } })
      const { swarm, put, first } = await pausedService({}, keyed('one'))
      equal((await put('blog', keyed('one'))).body, first.body)
      const two = await put('blog', keyed('two'))
      equal([two.status, two.body.verdict, two.body.warnings], [424, 'paused', [NOTICE]])
      equal((await put('blog', keyed('two'))).body, two.body)
      const reused = await put('blog', { ...RESUME, ...keyed('two') })
      equal([reused.status, reused.body.code], [422, 'idempotency-key-reused'])
      equal(countCalls(swarm, 'update'), 1)
      const three = await put('blog', { ...RESUME, ...keyed('three') })
      equal([three.status, three.body.warnings, countCalls(swarm, 'update')], [200, [COST], 2])
      equal((await put('blog', { ...RESUME, ...keyed('three') })).body.warnings, [COST])
      equal(countCalls(swarm, 'update'), 2)
    },
  },
  {
    name: 'each request for a paused update is published once: accepted, then paused',
    async run() {
      const { put, notifier } = await pausedService()
      await put('blog', { query: '?wait=50' })
      await put('blog')
      equal(
        notifier.events.map(({ event }) => event),
        ['accepted', 'paused', 'accepted', 'paused', 'accepted', 'paused'],
      )
      equal(new Set(notifier.events.map(({ id }) => id)).size, 6)
    },
  },
]
