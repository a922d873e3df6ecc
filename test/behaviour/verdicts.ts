// Behaviour of verdicts: the response to a caller that waits, for each end of a rollout.

import { equal } from '../support/assert-json-equal.ts'
import type { FakeRollout } from '../support/fake-rollout.ts'
import type { FakeSwarm } from '../support/fake-swarm.ts'
import {
  type Answer,
  type Case,
  countCalls,
  createHarness,
  imageOf,
  pinned,
  until,
} from './harness.ts'

interface End {
  readonly name: string
  readonly status: number
  readonly code?: string
  readonly verdict: string
  /** What the message says, in part. */
  readonly message?: string
  steer(rollout: FakeRollout, swarm: FakeSwarm): void
}

const ENDS: readonly End[] = [
  {
    name: 'a rollout that completes',
    status: 200,
    verdict: 'converged',
    steer: (rollout) => rollout.complete(),
  },
  {
    name: 'a rollout that the engine rolls back',
    status: 424,
    code: 'rollout-failed',
    verdict: 'rolled-back',
    message: 'rollback completed',
    steer: (rollout) => rollout.rollBack(),
  },
  {
    name: 'a rollout that the engine pauses',
    status: 424,
    code: 'rollout-failed',
    verdict: 'paused',
    message: 'update paused due to failure or early termination of task',
    steer: (rollout) => rollout.pause(),
  },
  {
    name: 'a rollout that completes though every task fails',
    status: 424,
    code: 'rollout-failed',
    verdict: 'failed',
    message: '0 of 2 tasks run',
    steer: (rollout) => rollout.failAndComplete(),
  },
  {
    name: 'a rollback that fails too',
    status: 424,
    code: 'rollout-failed',
    verdict: 'failed',
    message: 'update paused due to',
    steer(rollout) {
      rollout.beginRollBack()
      rollout.pauseRollBack()
    },
  },
  {
    name: 'a manual rollback',
    status: 409,
    code: 'superseded',
    verdict: 'superseded',
    message: 'by hand',
    steer(rollout) {
      rollout.begin()
      rollout.rollBackByHand()
    },
  },
  {
    name: 'another image that another client writes',
    status: 409,
    code: 'superseded',
    verdict: 'superseded',
    message: 'another spec',
    steer: (_, swarm) => swarm.change('blog', (spec) => withImage(spec, 'me/app:v9')),
  },
  {
    name: 'a service that is removed',
    status: 410,
    code: 'service-removed',
    verdict: 'removed',
    message: 'Service "blog" was removed',
    steer: (_, swarm) => swarm.remove('blog'),
  },
]

type Spec = Parameters<Parameters<FakeSwarm['change']>[1]>[0]

function withImage(spec: Spec, Image: string): Spec {
  const { TaskTemplate } = spec
  const ContainerSpec = { ...TaskTemplate.ContainerSpec, Image }
  return { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } }
}

const MEMBERS = ['deploymentId', 'service', 'serviceId', 'image', 'resolved', 'previous'] as const
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function evidenceOf({ body }: Answer): readonly Record<string, unknown>[] {
  const { tasks = [] } = body as { tasks?: readonly Record<string, unknown>[] }
  return tasks.map(({ taskId, ...task }) => ({ ...task, hasId: typeof taskId }))
}

export const verdicts: readonly Case[] = [
  ...ENDS.map(({ name, status, code, verdict, message, steer }) => ({
    name: `${name} is ${verdict}, ${status}${code === undefined ? '' : ` ${code}`}, with all members`,
    async run() {
      const { swarm, logger, begin } = createHarness()
      const { ID } = swarm.addService('blog', { replicas: 2 })
      const { answer, rollout } = await begin('blog')
      steer(rollout, swarm)
      const { status: came, headers, body } = await answer
      equal([came, body.verdict, body.code], [status, verdict, code])
      equal(
        MEMBERS.map((member) => body[member]),
        [body.deploymentId, 'blog', ID, 'me/app:v2', pinned('me/app:v2'), 'me/app:v1'],
      )
      equal([TIME.test(String(body.startedAt)), TIME.test(String(body.endedAt))], [true, true])
      equal(headers.get('Location'), `/deployments/${body.deploymentId}`)
      equal(headers.get('Retry-After'), null)
      equal(String(body.message ?? '').includes(message ?? ''), true)
      if (code !== undefined) {
        equal(body.type, `urn:problem-type:deployer:${code}`)
        equal(headers.get('Content-Type'), 'application/problem+json')
        equal([body.status, typeof body.title, typeof body.detail], [status, 'string', 'string'])
      }
      const ended = logger.lines.filter((line) => line.message === 'deployment ended')
      equal(
        ended.map((line) => [line.level, line.verdict, line.deploymentId, line.service]),
        [[status === 200 ? 'info' : 'warn', verdict, body.deploymentId, 'blog']],
      )
    },
  })),
  {
    name: 'a rollout that takes too long is timed-out, and the message contains what it waits for',
    async run() {
      const { swarm, begin } = createHarness({ rolloutTimeoutMs: 60_000 })
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      swarm.nodes = []
      rollout.start()
      swarm.clock = () => Date.now() + 61_000
      rollout.setUpdateState('updating', 'still at it')
      const { status, body } = await answer
      equal([status, body.code, body.verdict], [424, 'rollout-failed', 'timed-out'])
      equal(String(body.message).startsWith('Still not done after 60 s'), true)
      equal(String(body.message).includes('no suitable node'), true)
    },
  },
  {
    name: 'a rollout without further events is timed-out by the clock alone',
    async run() {
      const { swarm, begin } = createHarness({ rolloutTimeoutMs: 50 })
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      equal((await answer).body.verdict, 'timed-out')
    },
  },
  {
    name: 'a service that cannot be read when the time is up is 410 verdict-unknown',
    async run() {
      const { swarm, begin } = createHarness({ rolloutTimeoutMs: 60_000 })
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      swarm.failure = new Error('secret detail')
      rollout.complete()
      swarm.clock = () => Date.now() + 61_000
      const { status, body } = await answer
      equal([status, body.code, body.verdict], [410, 'verdict-unknown', 'unknown'])
      equal(JSON.stringify(body).includes('secret detail'), false)
    },
  },
  {
    name: 'evidence: each failed task with slot, node, state, error, exit code and its last lines',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog', { replicas: 2 })
      swarm.logs.set('default', 'starting\ncannot find DATABASE_URL\n')
      const { answer, rollout } = await begin('blog')
      rollout.fail({ place: 1, exitCode: 3 })
      rollout.fail({ place: 2, state: 'rejected' })
      rollout.rollBack()
      equal(evidenceOf(await answer), [
        {
          slot: 1,
          node: 'node1',
          state: 'failed',
          error: 'task: non-zero exit (3)',
          exitCode: 3,
          log: 'starting\ncannot find DATABASE_URL',
          hasId: 'string',
        },
        {
          slot: 2,
          node: 'node1',
          state: 'rejected',
          error: `No such image: ${pinned('me/app:v2')}`,
          hasId: 'string',
        },
      ])
    },
  },
  {
    name: 'evidence without logs: none is read and none is shown when logs are turned off',
    async run() {
      const { swarm, begin } = createHarness({ evidenceLogs: false })
      swarm.addService('blog')
      swarm.logs.set('default', 'DATABASE_URL=secret')
      const { answer, rollout } = await begin('blog')
      rollout.pause()
      const response = await answer
      equal(
        evidenceOf(response).map(({ exitCode, log }) => [exitCode, log]),
        [[1, undefined]],
      )
      equal(
        [JSON.stringify(response.body).includes('secret'), countCalls(swarm, 'log')],
        [false, 0],
      )
    },
  },
  {
    name: 'a rollout that converges shows no tasks, and no log is read',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.complete()
      const { body } = await answer
      equal(['tasks' in body, 'message' in body, countCalls(swarm, 'log')], [false, false, 0])
    },
  },
  {
    name: 'a health check that never passes ends tasks as complete, which is a failure with evidence',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.fail({ state: 'complete' })
      rollout.rollBack()
      const response = await answer
      equal(response.body.verdict, 'rolled-back')
      equal(
        evidenceOf(response).map(({ state }) => state),
        ['complete'],
      )
    },
  },
  {
    name: 'the current image is unchanged, 200, with a message; nothing is written',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { image: pinned('me/app:v2') })
      for (const query of ['', '?wait=50']) {
        const { status, headers, body } = await put('blog', { query })
        equal([status, body.verdict, body.previous], [200, 'unchanged', pinned('me/app:v2')])
        equal(body.message, `Service "blog" runs ${pinned('me/app:v2')} already`)
        equal(headers.get('Location'), `/deployments/${body.deploymentId}`)
      }
      equal(countCalls(swarm, 'update'), 0)
    },
  },
  {
    name: 'the current image is not unchanged when its tasks fail',
    async run() {
      const { swarm, put, begin } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.failAndComplete()
      const first = await answer
      const again = await put('blog', { query: '?wait=50' })
      equal([first.body.verdict, again.body.verdict, again.status], ['failed', 'failed', 424])
      equal(countCalls(swarm, 'update'), 1)
    },
  },
  {
    name: 'the current image, when a task failed long after its rollout, is judged by the present tasks',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      await put('blog', { query: '?wait=50' })
      const before = swarm.clock
      swarm.clock = () => before() + 3_600_000
      swarm.onUpdate = 'none'
      swarm.rollout('blog').fail()
      swarm.rollout('blog').fail()
      swarm.rollout('blog').run()
      swarm.clock = () => before() + 7_200_000
      const { status, body } = await put('blog', { query: '?wait=50' })
      equal([status, body.verdict, countCalls(swarm, 'update')], [200, 'unchanged', 1])
    },
  },
  {
    name: 'a service of 0 replicas has converged immediately, though the engine reports no status',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { replicas: 0 })
      const { status, body } = await put('blog', { query: '?wait=50' })
      equal([status, body.verdict], [200, 'converged'])
    },
  },
  {
    name: 'global services and jobs converge too, though the engine reports no status for jobs',
    async run() {
      const modes = [{ Global: {} }, { ReplicatedJob: { TotalCompletions: 2 } }, { GlobalJob: {} }]
      for (const mode of modes) {
        const { swarm, begin } = createHarness()
        swarm.addService('blog', { mode })
        const { answer, rollout } = await begin('blog')
        rollout.complete()
        const { status, body } = await answer
        equal([mode, status, body.verdict], [mode, 200, 'converged'])
      }
    },
  },
  {
    name: 'a second deployment supersedes the first immediately, and both get the right verdict',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const first = await begin('blog', { image: 'me/app:v2' })
      first.rollout.begin()
      const second = await begin('blog', { image: 'me/app:v3' })
      const { status, body } = await first.answer
      equal([status, body.code, body.verdict], [409, 'superseded', 'superseded'])
      equal(String(body.message).includes('me/app:v3'), true)
      second.rollout.complete()
      const last = await second.answer
      equal(
        [last.status, last.body.verdict, last.body.previous],
        [200, 'converged', pinned('me/app:v2')],
      )
      equal(imageOf(swarm, 'blog'), pinned('me/app:v3'))
    },
  },
  {
    name: 'a label that another client changes during the rollout does not hide its end',
    async run() {
      for (const isGood of [true, false]) {
        const { swarm, begin } = createHarness()
        swarm.addService('blog', { spec: { UpdateConfig: { Monitor: 1_000_000 } } })
        const { answer, rollout } = await begin('blog')
        rollout.begin()
        swarm.change('blog', (spec) => ({ ...spec, Labels: { ...spec.Labels, n: '1' } }))
        for (let times = 0; times < 3 && !isGood; times += 1) {
          rollout.fail()
        }
        if (isGood) {
          rollout.complete()
        }
        const { body } = await answer
        equal([isGood, body.verdict], [isGood, isGood ? 'converged' : 'failed'])
      }
    },
  },
  {
    name: 'a rollout takes few calls: no polling, and tasks are read only at the end',
    async run() {
      const { swarm, begin } = createHarness()
      const nowMs = Date.now()
      // Where an update does not start within a second, the tasks are read: time stands still.
      swarm.clock = () => nowMs
      swarm.addService('blog', { replicas: 3 })
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      for (const place of [1, 2, 3]) {
        rollout.run(place)
        await until(() => true)
      }
      equal(countCalls(swarm, 'tasks'), 0)
      rollout.complete()
      equal((await answer).body.verdict, 'converged')
      equal([countCalls(swarm, 'tasks'), swarm.calls.length <= 10], [1, true])
    },
  },
]
