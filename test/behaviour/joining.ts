// Behaviour of requests for the image that a service has already, while the service changes.

import { equal } from '../support/assert-json-equal.ts'
import type { FakeSwarm } from '../support/fake-swarm.ts'
import { type Case, countCalls, createHarness, imageOf, pinned, until } from './harness.ts'

/** A swarm on which a process that has ended wrote `me/app:v2`; the test controls the rollout. */
async function rolloutOfAnotherProcess(): Promise<FakeSwarm> {
  const stop = new AbortController()
  const { swarm, put } = createHarness({ signal: stop.signal })
  swarm.onUpdate = 'none'
  swarm.addService('blog')
  await put('blog')
  stop.abort()
  swarm.rollout('blog').begin()
  return swarm
}

/** Calls a function once, right before the next reading of tasks. */
function beforeNextTasks(swarm: FakeSwarm, act: () => void): void {
  const { listTasks } = swarm
  swarm.listTasks = (serviceId) => {
    swarm.listTasks = listTasks
    act()
    return listTasks(serviceId)
  }
}

/** Calls a function once, before a service is read for the nth time from now on. */
function beforeReading(swarm: FakeSwarm, nth: number, act: () => void): void {
  const { inspectService } = swarm
  let readings = 0
  swarm.inspectService = (nameOrId) => {
    readings += 1
    if (readings === nth) {
      act()
    }
    return inspectService(nameOrId)
  }
}

/** Calls a function once, when the log of a failed task is read: the verdict is fixed then. */
function whenLogIsRead(swarm: FakeSwarm, act: () => void | Promise<void>): void {
  const { readTaskLog } = swarm
  swarm.readTaskLog = async (taskId, lines) => {
    swarm.readTaskLog = readTaskLog
    await act()
    return readTaskLog(taskId, lines)
  }
}

function overwrite(swarm: FakeSwarm): void {
  swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
    ...spec,
    TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v9' } },
  }))
}

export const joining: readonly Case[] = [
  {
    name: 'a write of another client between the look at a failed rollout and the response is overwritten',
    async run() {
      const swarm = await rolloutOfAnotherProcess()
      swarm.rollout('blog').failAndComplete()
      whenLogIsRead(swarm, () => overwrite(swarm))
      const { status, body } = await createHarness({ swarm }).put('blog')
      equal([status, body.verdict, body.previous], [200, 'accepted', 'me/app:v9'])
      equal([imageOf(swarm, 'blog'), countCalls(swarm, 'update')], [pinned('me/app:v2'), 2])
    },
  },
  {
    name: 'a rollout that the engine rolls back between two readings of a request is written again',
    async run() {
      for (const reading of [2, 3]) {
        const swarm = await rolloutOfAnotherProcess()
        beforeReading(swarm, reading, () => swarm.rollout('blog').rollBack())
        const { status, body } = await createHarness({ swarm }).put('blog')
        equal([status, body.verdict, body.previous], [200, 'accepted', 'me/app:v1'])
        equal([imageOf(swarm, 'blog'), countCalls(swarm, 'update')], [pinned('me/app:v2'), 2])
      }
    },
  },
  {
    name: 'a rollout that the engine rolls back during the look is rolled-back for the joined request too',
    async run() {
      const swarm = await rolloutOfAnotherProcess()
      beforeNextTasks(swarm, () => swarm.rollout('blog').rollBack())
      const { status, body } = await createHarness({ swarm }).put('blog', { query: '?wait=50' })
      equal([status, body.verdict, countCalls(swarm, 'update')], [424, 'rolled-back', 1])
    },
  },
  {
    name: 'a rollout that the engine pauses during the look is paused for the joined request too',
    async run() {
      const swarm = await rolloutOfAnotherProcess()
      beforeNextTasks(swarm, () => swarm.rollout('blog').pause())
      const { status, body } = await createHarness({ swarm }).put('blog', { query: '?wait=50' })
      equal([status, body.verdict, countCalls(swarm, 'update')], [424, 'paused', 1])
    },
  },
  {
    name: 'a rollout whose tasks fail during the look has failed for the joined request too',
    async run() {
      const swarm = await rolloutOfAnotherProcess()
      beforeNextTasks(swarm, () => swarm.rollout('blog').failAndComplete())
      const { status, body } = await createHarness({ swarm }).put('blog', { query: '?wait=50' })
      equal([status, body.verdict, countCalls(swarm, 'update')], [424, 'failed', 1])
    },
  },
  {
    name: 'a request while the log lines of a failed rollout are read joins that deployment',
    async run() {
      const { swarm, put, begin } = createHarness()
      swarm.addService('blog')
      let release = (): void => {}
      let isReading = false
      whenLogIsRead(swarm, () => {
        isReading = true
        return new Promise((resolve) => {
          release = resolve
        })
      })
      const { answer, rollout } = await begin('blog')
      rollout.failAndComplete()
      await until(() => isReading)
      const joined = put('blog', { query: '?wait=50' })
      await put('blog')
      release()
      const [first, second] = [await answer, await joined]
      equal([first.status, first.body.verdict], [424, 'failed'])
      equal([second.status, second.body], [first.status, first.body])
      equal(countCalls(swarm, 'update'), 1)
    },
  },
]
