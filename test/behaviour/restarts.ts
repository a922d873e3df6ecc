// Behaviour of notifications across restarts: the next process sends the events that a spool stores.

import { type Deployment, deploymentId } from '../../src/deployment/deployment.ts'
import { DeployerError } from '../../src/errors.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import { equal } from '../support/assert-json-equal.ts'
import { createFakeSpool, type FakeSpool } from '../support/fake-spool.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'
import {
  type Case,
  createHarness,
  type Harness,
  type HarnessOptions,
  holdUpdates,
  type PutOptions,
  pass,
  pinned,
  until,
} from './harness.ts'

/** A process that a test kills, and what it leaves behind. */
interface KillableProcess {
  readonly swarm: FakeSwarm
  readonly process: Harness
  /** Ends the process: from now on nothing reaches its spool. */
  kill(): void
  isKilled(): boolean
  /** A copy of the spool as it was when the process was killed. */
  leftSpool(): FakeSpool
}

/** Starts a process on a swarm with the service `blog`, whose rollouts the test controls. */
function startProcess(options: HarnessOptions = {}): KillableProcess {
  const swarm = createFakeSwarm()
  swarm.addService('blog', { image: 'me/app:v1' })
  swarm.onUpdate = 'none'
  const spool = createFakeSpool()
  const stop = new AbortController()
  let left: FakeSpool | undefined
  return {
    swarm,
    process: createHarness({ swarm, spool, signal: stop.signal, ...options }),
    kill() {
      left ??= spool.copy()
      stop.abort()
    },
    isKilled: () => left !== undefined,
    leftSpool: () => left ?? spool,
  }
}

/** A process that was killed. */
interface Killed {
  readonly swarm: FakeSwarm
  readonly spool: FakeSpool
  readonly first: Harness
}

type Moment = 'before-the-write' | 'after-the-write' | 'before-the-verdict'

/** Deploys `me/app:v2` to `blog`, and kills the process at a moment of the deployment. */
async function killedAt(moment: Moment, init: PutOptions = {}): Promise<Killed> {
  const { swarm, process: first, kill, leftSpool } = startProcess()
  if (moment === 'before-the-write') {
    swarm.beforeUpdate = () => {
      kill()
      throw new DeployerError('engine-unreachable', 'The process was killed')
    }
  }
  if (moment === 'after-the-write') {
    swarm.afterUpdate = kill
  }
  const metadata = { commit: 'a1' }
  await first.put('blog', { body: JSON.stringify({ image: 'me/app:v2', metadata }), ...init })
  if (moment === 'before-the-verdict') {
    await until(() => first.notifier.events.length === 1)
    await pass()
    kill()
  }
  swarm.beforeUpdate = () => {}
  swarm.afterUpdate = () => {}
  return { swarm, first, spool: leftSpool() }
}

/** Holds the reads of a spool until the returned function is called. */
function holdReading(spool: FakeSpool): () => void {
  const { read } = spool
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  spool.read = async () => {
    await released
    return read()
  }
  return () => release()
}

/** Another client replaces the spec of `blog`, with all labels, and its rollout completes. */
function overwrite(swarm: FakeSwarm): void {
  swarm.change('blog', (spec) => ({
    ...spec,
    Labels: { 'deployer.allowUpdates': 'true' },
    TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image: 'me/app:v9' } },
  }))
  swarm.rollout('blog').complete()
}

const WITH_KEY: PutOptions = { headers: { 'Idempotency-Key': 'one' } }

export const restarts: readonly Case[] = [
  {
    name: 'a deployment is stored before its update is sent, and again before the response',
    async run() {
      const swarm = createFakeSwarm()
      swarm.addService('blog')
      const spool = createFakeSpool()
      const states: unknown[] = []
      spool.beforePut = async (_, value) => {
        const { state } = value as { state: string }
        await pass()
        await pass()
        states.push([state, swarm.calls.filter((call) => call.startsWith('update')).length])
      }
      const { put } = createHarness({ swarm, spool })
      await put('blog')
      equal(states.slice(0, 2), [
        ['prepared', 0],
        ['committed', 1],
      ])
    },
  },
  {
    name: 'the event of a request without an update is stored before the response',
    async run() {
      const spool = createFakeSpool()
      const kept: unknown[] = []
      spool.beforePut = async (_, value) => {
        await pass()
        await pass()
        const { event, deployment } = value as {
          readonly event?: DeploymentEvent
          readonly deployment: Deployment
        }
        kept.push(event === undefined ? deploymentId(deployment) : event.error)
      }
      const { swarm, put } = createHarness({ spool })
      swarm.addService('shop', { labels: {} })
      swarm.addService('blog', { image: pinned('me/app:v2') })
      const keptOf = async (answer: ReturnType<typeof put>): Promise<boolean> => {
        const { body } = await answer
        return kept.includes(body.deploymentId ?? body.detail)
      }
      equal([await keptOf(put('shop')), await keptOf(put('blog'))], [true, true])
      swarm.onUpdate = 'none'
      const release = holdUpdates(swarm)
      const answers: Promise<boolean>[] = []
      for (const image of ['me/app:v3', 'me/app:v4', 'me/app:v5', 'me/app:v5']) {
        answers.push(keptOf(put('blog', { image })))
        await pass()
        await pass()
      }
      release()
      equal(await Promise.all(answers), [true, true, true, true])
    },
  },
  {
    name: 'a deployment whose events are sent leaves no record',
    async run() {
      const spool = createFakeSpool()
      const { swarm, put, notifier } = createHarness({ spool })
      swarm.addService('blog')
      swarm.addService('shop', { labels: {} })
      await put('blog', { query: '?wait=50' })
      await put('blog')
      await put('shop')
      await until(() => notifier.events.length === 5 && spool.records.size === 0)
      equal(spool.calls.filter((call) => call.startsWith('put')).length > 0, true)
    },
  },
  {
    name: 'a conflict with another client leaves one record for each deployment, not for each attempt',
    async run() {
      const spool = createFakeSpool()
      const { swarm, put, notifier } = createHarness({ spool })
      swarm.addService('blog')
      let conflicts = 2
      swarm.beforeUpdate = () => {
        if (conflicts > 0) {
          conflicts -= 1
          swarm.change('blog', (spec) => ({ ...spec, Labels: { ...spec.Labels, n: '1' } }))
        }
      }
      swarm.onUpdate = 'none'
      await put('blog')
      await until(() => notifier.events.length === 1)
      equal(spool.records.size, 1)
    },
  },
  {
    name: 'killed before the write: no event is sent',
    async run() {
      const { swarm, spool } = await killedAt('before-the-write')
      equal(spool.records.size, 1)
      // Before that the engine might still apply it.
      swarm.clock = () => Date.now() + 10_000
      const second = createHarness({ swarm, spool })
      await until(() => spool.records.size === 0)
      await pass()
      equal(second.notifier.events, [])
    },
  },
  ...(['after-the-write', 'before-the-verdict'] as const).map((moment) => ({
    name: `killed ${moment}: the next process sends the remaining events, with the same IDs`,
    async run() {
      const { swarm, spool, first } = await killedAt(moment)
      const second = createHarness({ swarm, spool })
      if (moment === 'after-the-write') {
        await until(() => second.notifier.events.length === 1)
      }
      await pass()
      swarm.rollout('blog').complete()
      const all = moment === 'after-the-write' ? ['accepted', 'converged'] : ['converged']
      await until(() => second.notifier.events.length === all.length && spool.records.size === 0)
      await pass()
      equal(second.notifier.eventNames('blog'), all)
      const [id] = first.notifier.events.map((event) => event.id.replace('_accepted', ''))
      const last = second.notifier.events.at(-1)
      equal(last?.metadata, { commit: 'a1' })
      if (moment === 'before-the-verdict') {
        equal(last?.id, `${id}_converged`)
      }
    },
  })),
  {
    name: 'the next process sends the verdict of a rollout that ended without a process',
    async run() {
      const { swarm, spool } = await killedAt('before-the-verdict')
      swarm.rollout('blog').pause()
      const second = createHarness({ swarm, spool })
      await until(() => second.notifier.events.length === 1)
      equal(second.notifier.eventNames('blog'), ['paused'])
      await until(() => spool.records.size === 0)
    },
  },
  {
    name: 'killed after the write, and rolled back since: the next process sends rolled-back or unknown',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write')
      swarm.rollout('blog').rollBack()
      const second = createHarness({ swarm, spool })
      await until(() => second.notifier.events.length > 0)
      await pass()
      const [verdict] = second.notifier.eventNames('blog').slice(-1)
      equal(['rolled-back', 'unknown'].includes(verdict ?? ''), true)
      await until(() => spool.records.size === 0)
    },
  },
  {
    name: 'killed after the write, and the service is removed since: the history shows that it was written',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write')
      swarm.remove('blog')
      const second = createHarness({ swarm, spool })
      await until(() => second.notifier.events.length > 1)
      equal(second.notifier.eventNames('blog'), ['accepted', 'removed'])
    },
  },
  {
    name: 'killed after the write, and the service is removed since: without a history the next process sends unknown',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write')
      swarm.remove('blog')
      const second = createHarness({ swarm, spool, history: 'label' })
      await until(() => second.notifier.events.length > 0)
      equal(second.notifier.eventNames('blog'), ['unknown'])
      equal(second.notifier.events[0]?.error.includes('cannot be determined'), true)
    },
  },
  {
    name: 'an unreachable engine at the start delays events, and loses none',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write')
      swarm.rollout('blog').complete()
      swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
      const second = createHarness({ swarm, spool })
      await pass()
      await pass()
      equal([second.notifier.events, spool.records.size], [[], 1])
      swarm.failure = undefined
      await until(() => second.notifier.events.length === 2)
      equal(second.notifier.eventNames('blog'), ['accepted', 'converged'])
    },
  },
  {
    name: 'the events of an earlier process are sent before new ones',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write')
      const second = createHarness({ swarm, spool })
      await second.put('blog', { image: 'me/app:v3' })
      await until(() => second.notifier.events.length >= 3)
      equal(second.notifier.events.map(({ event, image }) => `${event} ${image}`).slice(0, 3), [
        'accepted me/app:v2',
        'superseded me/app:v2',
        'accepted me/app:v3',
      ])
    },
  },
  {
    name: 'a request that is repeated after the restart sends no event twice',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write')
      const second = createHarness({ swarm, spool })
      const answer = second.put('blog', { image: 'me/app:v2', query: '?wait=50' })
      await until(() => second.notifier.events.length >= 1)
      await pass()
      swarm.rollout('blog').complete()
      equal((await answer).body.verdict, 'converged')
      await until(() => spool.records.size === 0)
      equal(second.notifier.eventNames('blog'), ['accepted', 'converged'])
    },
  },
  {
    name: 'a stored rejection is sent after a restart',
    async run() {
      const own = createFakeSpool()
      const first = createHarness({ spool: own, notifier: () => new Promise<void>(() => {}) })
      first.swarm.addService('shop', { labels: {} })
      await first.put('shop')
      const spool = own.copy()
      const second = createHarness({ swarm: first.swarm, spool })
      await until(() => second.notifier.events.length === 1 && spool.records.size === 0)
      equal(second.notifier.eventNames('shop'), ['refused'])
    },
  },
  {
    name: 'an event stays stored until the notifier has resolved',
    async run() {
      const spool = createFakeSpool()
      let take = (): void => {}
      const taken = new Promise<void>((resolve) => {
        take = resolve
      })
      const { swarm, put } = createHarness({ spool, notifier: () => taken })
      swarm.addService('blog')
      await put('blog', { query: '?wait=50' })
      await pass()
      equal(
        spool.values().map((value) => (value as { state: string }).state),
        ['committed'],
      )
      take()
      await until(() => spool.records.size === 0)
    },
  },
  {
    name: 'killed right after a version conflict: the next process sends the events of the second attempt alone',
    async run() {
      const swarm = createFakeSwarm()
      swarm.addService('blog', { image: 'me/app:v1' })
      swarm.onUpdate = 'none'
      const spool = createFakeSpool()
      // A removal may be lost in a crash.
      spool.remove = async () => {}
      const stop = new AbortController()
      const first = createHarness({ swarm, spool, signal: stop.signal })
      swarm.beforeUpdate = () => {
        swarm.beforeUpdate = () => {}
        swarm.change('blog', (spec) => ({ ...spec, Labels: { ...spec.Labels, n: '1' } }))
      }
      let left = spool
      swarm.afterUpdate = () => {
        left = spool.copy()
        stop.abort()
      }
      await first.put('blog')
      swarm.afterUpdate = () => {}
      equal(left.records.size, 1)
      swarm.rollout('blog').complete()
      const second = createHarness({ swarm, spool: left })
      await until(() => left.records.size === 0)
      equal(second.notifier.eventNames('blog'), ['accepted', 'converged'])
    },
  },
  {
    name: 'a request on its way at SIGTERM: its events are sent once, by this process or the next one',
    async run() {
      const swarm = createFakeSwarm()
      swarm.addService('blog', { image: 'me/app:v1' })
      swarm.onUpdate = 'none'
      const spool = createFakeSpool()
      const stop = new AbortController()
      const first = createHarness({ swarm, spool, signal: stop.signal })
      swarm.beforeUpdate = () => stop.abort()
      equal((await first.put('blog')).status, 200)
      await pass()
      swarm.beforeUpdate = () => {}
      const left = spool.copy()
      equal(left.records.size, 1)
      swarm.rollout('blog').complete()
      const second = createHarness({ swarm, spool: left })
      await until(() => left.records.size === 0)
      const events = [...first.notifier.events, ...second.notifier.events]
      equal(
        events.map(({ event }) => event),
        ['accepted', 'converged'],
      )
    },
  },
  {
    name: 'invalid records are logged and removed, and the others are used',
    async run() {
      const { swarm, spool } = await killedAt('before-the-verdict')
      spool.records.set('0-invalid', '{"state":"published","deploymentId":"x"}')
      spool.records.set('1-invalid', 'null')
      const [kept = ''] = spool.records.values()
      spool.records.set('2-of-the-same-deployment', kept)
      swarm.rollout('blog').complete()
      const second = createHarness({ swarm, spool })
      await until(() => spool.records.size === 0)
      equal(second.notifier.eventNames('blog'), ['converged'])
      const lines = second.logger.lines.filter(
        ({ message }) => message === 'spooled deployment cannot be read',
      )
      equal(lines.length, 2)
    },
  },
  {
    name: 'a deployment without a verdict at the end is logged unless it is stored',
    async run() {
      for (const isGood of [true, false]) {
        const spool = createFakeSpool()
        spool.isGood = isGood
        const stop = new AbortController()
        const { swarm, logger, put } = createHarness({ spool, signal: stop.signal })
        swarm.addService('blog')
        swarm.onUpdate = 'none'
        await put('blog')
        await pass()
        stop.abort()
        const lines = logger.lines.filter(({ message }) => message === 'verdict will not be sent')
        equal(lines.length, isGood ? 0 : 1)
      }
    },
  },
  {
    name: 'an engine that was unreachable at the start delays no response once it is reachable',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write')
      swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
      const second = createHarness({ swarm, spool })
      await pass()
      // The recovery reads the service again only when the test lets it.
      const { inspectService } = swarm
      let release = (): void => {}
      let isHeld = false
      swarm.inspectService = async (...args) => {
        if (!isHeld) {
          isHeld = true
          await new Promise<void>((resolve) => {
            release = resolve
          })
        }
        return inspectService(...args)
      }
      swarm.addService('shop')
      swarm.failure = undefined
      await until(() => isHeld)
      await second.put('shop')
      await second.put('blog', { image: 'me/app:v3' })
      release()
      equal(second.notifier.eventNames('shop')[0], 'accepted')
      await until(() => second.notifier.eventNames('blog').length >= 3)
      equal(
        second.notifier.events.flatMap(({ event, image, service }) =>
          service === 'blog' ? `${event} ${image}` : [],
        ),
        ['accepted me/app:v2', 'superseded me/app:v2', 'accepted me/app:v3'],
      )
    },
  },
  {
    name: 'a deployment that starts while the spool is read sends its events once',
    async run() {
      const spool = createFakeSpool()
      const release = holdReading(spool)
      const { swarm, put, notifier } = createHarness({ spool })
      swarm.addService('blog')
      swarm.addService('shop', { labels: {} })
      swarm.onUpdate = 'none'
      swarm.afterUpdate = release
      await put('shop')
      const answer = put('blog', { query: '?wait=50' })
      await until(() => notifier.eventNames('blog').length > 0)
      await pass()
      swarm.rollout('blog').complete()
      await answer
      await until(() => spool.records.size === 0)
      await pass()
      equal(notifier.eventNames('blog'), ['accepted', 'converged'])
      equal(notifier.eventNames('shop'), ['refused'])
    },
  },
  {
    name: 'a spool that is not read yet delays no response, and a request that joins a deployment sends no event twice',
    async run() {
      const { swarm, spool } = await killedAt('before-the-verdict')
      const release = holdReading(spool)
      swarm.addService('shop', { image: pinned('me/app:v2') })
      const second = createHarness({ swarm, spool })
      equal((await second.put('shop')).body.verdict, 'unchanged')
      equal((await second.put('blog', { image: 'me/app:v2' })).status, 200)
      release()
      await until(() => second.notifier.eventNames('shop').length === 2)
      await pass()
      swarm.rollout('blog').complete()
      await until(() => spool.records.size === 0)
      equal(second.notifier.eventNames('blog'), ['converged'])
      equal(second.notifier.eventNames('shop'), ['accepted', 'unchanged'])
    },
  },
  {
    name: 'a joined deployment has the verdict of this process, also when its record is read after the service was overwritten',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write', WITH_KEY)
      const release = holdReading(spool)
      const second = createHarness({ swarm, spool })
      const joined = await second.put('blog', { ...WITH_KEY, query: '?wait=0' })
      equal(joined.body.verdict, 'pending')
      swarm.rollout('blog').complete()
      const location = String(joined.headers.get('Location'))
      equal((await second.get(`${location}?wait=50`)).body.verdict, 'converged')
      overwrite(swarm)
      release()
      await until(() => second.notifier.events.length === 2)
      equal(
        second.notifier.events.map(({ event }) => event),
        ['accepted', 'converged'],
      )
    },
  },
  {
    name: 'a joined deployment is accepted in the next process too, when this one is killed before it reads the record',
    async run() {
      const { swarm, spool } = await killedAt('after-the-write', WITH_KEY)
      spool.read = () => new Promise(() => {})
      const killed = new AbortController()
      const second = createHarness({ swarm, spool, signal: killed.signal })
      equal((await second.put('blog', { ...WITH_KEY, query: '?wait=0' })).body.verdict, 'pending')
      const leftAgain = spool.copy()
      killed.abort()
      swarm.rollout('blog').complete()
      overwrite(swarm)
      const third = createHarness({ swarm, spool: leftAgain })
      await until(() => third.notifier.events.length === 2)
      await pass()
      equal(
        third.notifier.events.map(({ event }) => event),
        ['accepted', 'unknown'],
      )
      equal(second.notifier.events, [])
    },
  },
  {
    name: 'the next process repeats a verdict that was sent, also after the service was overwritten',
    async run() {
      const ids: string[] = []
      const killable = startProcess({
        notifier({ event, id }) {
          ids.push(id)
          if (event === 'converged') {
            killable.kill()
          }
        },
      })
      const { swarm, process: first, isKilled } = killable
      await first.put('blog')
      swarm.rollout('blog').complete()
      await until(isKilled)
      overwrite(swarm)
      const spool = killable.leftSpool()
      const second = createHarness({ swarm, spool })
      await until(() => spool.records.size === 0)
      equal(
        second.notifier.events.map(({ event, id }) => [event, id]),
        [['converged', ids[1]]],
      )
    },
  },
  {
    name: 'the events of several deployments of an earlier process are sent in the order of time',
    async run() {
      const own = createFakeSpool()
      const first = createHarness({ spool: own, notifier: () => new Promise<void>(() => {}) })
      first.swarm.addService('blog')
      first.swarm.onUpdate = 'none'
      let ms = Date.now() - 10_000
      first.swarm.clock = () => {
        ms += 1
        return ms
      }
      await first.put('blog', { image: 'me/app:v2' })
      await first.put('blog', { image: 'me/app:v3' })
      await first.put('blog', { body: '{"image":"me/app:v4","expect":"me/app:v9"}' })
      const spool = own.copy()
      const { notifier } = createHarness({ swarm: first.swarm, spool })
      await until(() => notifier.events.length >= 4)
      equal(
        notifier.events.map(({ event, image }) => `${event} ${image}`),
        ['accepted me/app:v2', 'superseded me/app:v2', 'accepted me/app:v3', 'refused me/app:v4'],
      )
    },
  },
  {
    name: 'a deployment without an update sends its events after a restart, also when the clock is behind',
    async run() {
      const own = createFakeSpool()
      const first = createHarness({ spool: own, notifier: () => new Promise<void>(() => {}) })
      const { swarm } = first
      swarm.addService('blog', { image: pinned('me/app:v2') })
      await first.put('blog')
      await pass()
      swarm.clock = () => Date.now() - 3_600_000
      const spool = own.copy()
      const second = createHarness({ swarm, spool })
      await until(() => second.notifier.events.length === 2 && spool.records.size === 0)
      equal(second.notifier.eventNames('blog'), ['accepted', 'unchanged'])
    },
  },
  {
    name: 'a spool that rejects fails no deployment, and all events are sent',
    async run() {
      const spool = createFakeSpool()
      const failure = new Error('the disk failed')
      spool.put = () => Promise.reject(failure)
      spool.remove = () => Promise.reject(failure)
      spool.read = () => Promise.reject(failure)
      const { swarm, put, notifier, logger } = createHarness({ spool })
      swarm.addService('blog')
      equal((await put('blog', { query: '?wait=50' })).body.verdict, 'converged')
      await until(() => notifier.events.length === 2)
      equal(notifier.eventNames('blog'), ['accepted', 'converged'])
      equal(
        logger.lines.some(({ reason }) => reason === 'the disk failed'),
        true,
      )
    },
  },
]
