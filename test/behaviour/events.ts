// Behaviour of the engine's event stream: it is shared, opened again when it breaks, and loses no verdict.

import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import type { FakeRollout } from '../support/fake-rollout.ts'
import { type Case, countCalls, createHarness, pass, until } from './harness.ts'

const MISSED: readonly (readonly [string, number, (rollout: FakeRollout) => void])[] = [
  ['converged', 200, (rollout) => rollout.complete()],
  ['rolled-back', 424, (rollout) => rollout.rollBack()],
  ['paused', 424, (rollout) => rollout.pause()],
]

export const events: readonly Case[] = [
  ...MISSED.map(([verdict, status, steer]) => ({
    name: `a rollout that is ${verdict} while the stream is broken gets its verdict`,
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      await until(() => swarm.streams === 1)
      swarm.breakStreams(new DeployerError('engine-unreachable', 'The stream broke'))
      equal(swarm.streams, 0)
      steer(rollout)
      // The engine restarts: of what happened meanwhile it remembers nothing.
      swarm.breakStreams()
      const response = await answer
      equal([response.status, response.body.verdict], [status, verdict])
      equal(countCalls(swarm, 'watch'), 2)
    },
  })),
  {
    name: 'a service that is removed while the stream is broken is reported as removed',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { answer } = await begin('blog')
      swarm.breakStreams()
      swarm.remove('blog')
      equal((await answer).body.verdict, 'removed')
    },
  },
  {
    name: 'another image that is written while the stream is broken makes the verdict unknown',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      await pass()
      swarm.breakStreams()
      rollout.complete()
      swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
        ...spec,
        TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v9' } },
      }))
      swarm.breakStreams()
      const { status, body } = await answer
      equal([status, body.code, body.verdict], [410, 'verdict-unknown', 'unknown'])
    },
  },
  {
    name: 'a reading that fails is repeated, though the stream is open and reports nothing more',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      const { listTasks } = swarm
      swarm.listTasks = () => {
        swarm.listTasks = listTasks
        return Promise.reject(new DeployerError('engine-error', 'Cannot list'))
      }
      rollout.complete()
      equal((await answer).body.verdict, 'converged')
      equal(countCalls(swarm, 'watch'), 1)
    },
  },
  {
    name: 'an engine that is unreachable for some time is read again until the verdict is known',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      const faults = [new DeployerError('engine-unreachable', 'Cannot reach it'), new Error('odd')]
      for (const fault of faults) {
        const calls = swarm.calls.length
        swarm.failure = fault
        swarm.breakStreams(fault)
        await until(() => swarm.calls.length >= calls + 2)
      }
      rollout.complete()
      swarm.failure = undefined
      const { status, body } = await answer
      equal([status, body.verdict], [200, 'converged'])
    },
  },
  {
    name: 'a swarm whose watchServices reports nothing still gives a verdict within seconds',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.watchServices = () => new Promise(() => {})
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.begin()
      await pass()
      rollout.complete()
      const { status, body } = await answer
      equal([status, body.verdict], [200, 'converged'])
    },
  },
  {
    name: 'a swarm whose watchServices throws still gives a verdict within seconds',
    async run() {
      const { swarm, begin, logger } = createHarness()
      swarm.watchServices = () => {
        throw new TypeError('not implemented')
      }
      swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.rollBack()
      equal((await answer).body.verdict, 'rolled-back')
      equal(
        logger.lines
          .filter(({ message }) => message === 'event stream broken')
          .map(({ level, reason }) => [level, reason]),
        [['warn', 'not implemented']],
      )
    },
  },
  {
    name: 'many deployments share one stream',
    async run() {
      const { swarm, begin } = createHarness()
      const names = ['blog', 'shop', 'wiki']
      const started = []
      for (const name of names) {
        swarm.addService(name)
        started.push(await begin(name))
      }
      equal([swarm.streams, countCalls(swarm, 'watch')], [1, 1])
      for (const { answer, rollout } of started) {
        rollout.complete()
        equal((await answer).body.verdict, 'converged')
      }
      equal(countCalls(swarm, 'watch'), 1)
    },
  },
  {
    name: 'an event of one service causes no reading of another',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog')
      const { ID } = swarm.addService('shop')
      const shop = await begin('shop')
      shop.rollout.begin()
      const blog = await begin('blog')
      blog.rollout.complete()
      equal((await blog.answer).body.verdict, 'converged')
      equal(
        swarm.calls.filter((call) => call.endsWith(ID)),
        [],
      )
      shop.rollout.complete()
      equal((await shop.answer).body.verdict, 'converged')
    },
  },
  {
    name: 'no stream is opened for rejected requests and for requests that only read',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog', { labels: {} })
      equal((await put('blog')).status, 403)
      equal((await get('/service/blog')).status, 200)
      equal((await get('/services')).status, 200)
      equal(countCalls(swarm, 'watch'), 0)
    },
  },
]
