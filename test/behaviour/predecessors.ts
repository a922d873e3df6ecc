// Behaviour of a deployment that the next one replaces: it ends in the state that was replaced, and a
// verdict is final.

import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'
import {
  type Case,
  countCalls,
  createHarness,
  type Harness,
  historyOf,
  pass,
  until,
} from './harness.ts'

/** A swarm with the service `blog`, whose rollouts the test controls, and whose events are lost. */
function silentSwarm(): FakeSwarm {
  const swarm = createFakeSwarm()
  swarm.onUpdate = 'none'
  swarm.addService('blog')
  swarm.watchServices = (listener, { signal }) =>
    new Promise((resolve) => {
      listener.opened()
      signal.addEventListener('abort', () => resolve())
    })
  return swarm
}

/** A task fails long after its rollout, and its replacement waits for its start. */
function failAnHourLater(swarm: FakeSwarm): void {
  const before = swarm.clock
  swarm.clock = () => before() + 3_600_000
  swarm.rollout('blog').fail()
  swarm.clock = () => before() + 3_610_000
}

async function verdictOf({ get }: Harness, location: string | null): Promise<unknown> {
  return (await get(`${location}?wait=5`)).body.verdict
}

export const predecessors: readonly Case[] = [
  {
    name: 'a rollout whose end no event reported has converged when the next deployment replaces it',
    async run() {
      const swarm = silentSwarm()
      const harness = createHarness({ swarm })
      const first = await harness.put('blog')
      swarm.rollout('blog').complete()
      await harness.put('blog', { image: 'me/app:v3' })
      equal(await verdictOf(harness, first.headers.get('Location')), 'converged')
      await until(() => harness.notifier.events.length >= 3)
      equal(harness.notifier.eventNames('blog'), ['accepted', 'converged', 'accepted'])
    },
  },
  {
    name: 'a rollout that failed unnoticed has failed when the next deployment replaces it, with its tasks',
    async run() {
      const swarm = silentSwarm()
      const harness = createHarness({ swarm })
      const first = await harness.put('blog')
      swarm.rollout('blog').pause()
      await harness.put('blog', { image: 'me/app:v3' })
      const { status, body } = await harness.get(`${first.headers.get('Location')}?wait=5`)
      equal([status, body.verdict, Array.isArray(body.tasks)], [424, 'paused', true])
    },
  },
  {
    name: 'a rollout that is still in progress is superseded',
    async run() {
      const swarm = silentSwarm()
      const harness = createHarness({ swarm })
      const first = await harness.put('blog')
      swarm.rollout('blog').start()
      await harness.put('blog', { image: 'me/app:v3' })
      equal(await verdictOf(harness, first.headers.get('Location')), 'superseded')
    },
  },
  {
    name: 'a deployment immediately after a restart does not change the verdict of the one before',
    async run() {
      const swarm = silentSwarm()
      const stop = new AbortController()
      const before = createHarness({ swarm, signal: stop.signal })
      const first = await before.put('blog')
      stop.abort()
      swarm.rollout('blog').complete()
      const after = createHarness({ swarm })
      const location = first.headers.get('Location')
      const looking = verdictOf(after, location)
      await after.put('blog', { image: 'me/app:v3' })
      equal([await looking, await verdictOf(after, location)], ['converged', 'converged'])
    },
  },
  {
    name: 'where the verdict of the one before is known, nothing is read for it',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      await put('blog', { query: '?wait=50' })
      const before = countCalls(swarm, 'tasks')
      await put('blog', { image: 'me/app:v3' })
      equal(countCalls(swarm, 'tasks') - before, 0)
    },
  },
  {
    name: 'a judgement is discarded when the service changed before the write',
    async run() {
      const swarm = silentSwarm()
      const harness = createHarness({ swarm })
      const first = await harness.put('blog')
      swarm.rollout('blog').start()
      swarm.beforeUpdate = () => {
        // The first attempt judges a rollout in progress, and fails: the rollout completes meanwhile.
        swarm.beforeUpdate = () => {}
        swarm.rollout('blog').complete()
      }
      await harness.put('blog', { image: 'me/app:v3' })
      equal(await verdictOf(harness, first.headers.get('Location')), 'converged')
    },
  },
  {
    name: 'a verdict is fixed before the logs are read: a deployment in that time does not supersede it',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.onUpdate = 'pause'
      swarm.addService('blog')
      let show = (): void => {}
      const shown = new Promise<void>((resolve) => {
        show = resolve
      })
      let isReading = false
      swarm.readTaskLog = async () => {
        isReading = true
        await shown
        return 'out of memory'
      }
      const first = await put('blog')
      await until(() => isReading)
      await put('blog', { image: 'me/app:v3' })
      show()
      const { body } = await get(`${first.headers.get('Location')}?wait=5`)
      equal(body.verdict, 'paused')
      equal((body.tasks as { readonly log: string }[])[0]?.log, 'out of memory')
    },
  },
  {
    name: 'the image that a rollback returns to is observed: its own deployment has ended',
    async run() {
      const swarm = createFakeSwarm()
      swarm.onUpdate = 'none'
      swarm.addService('blog')
      const [first, second] = [createHarness({ swarm }), createHarness({ swarm })]
      const superseded = await first.put('blog')
      await first.put('blog', { image: 'me/app:v3' })
      swarm.rollout('blog').beginRollBack()
      const observed = await second.put('blog')
      const again = await first.put('blog')
      swarm.rollout('blog').completeRollBack()
      const verdicts = await Promise.all([
        verdictOf(first, superseded.headers.get('Location')),
        verdictOf(second, observed.headers.get('Location')),
        verdictOf(first, again.headers.get('Location')),
      ])
      equal(verdicts, ['superseded', 'converged', 'converged'])
      equal(observed.body.startedAt !== superseded.body.startedAt, true)
    },
  },
  {
    name: 'the same image on a service that does not run well is observed once for all callers',
    async run() {
      const { swarm, put, notifier } = createHarness()
      swarm.addService('blog')
      await put('blog', { query: '?wait=50' })
      failAnHourLater(swarm)
      const sent = notifier.events.length
      const answers = await Promise.all(Array.from({ length: 50 }, () => put('blog')))
      const calls = countCalls(swarm, 'tasks')
      const ids = new Set(answers.map(({ body }) => body.deploymentId))
      equal([ids.size, answers.every(({ body }) => body.verdict === 'accepted')], [1, true])
      const again = await Promise.all(Array.from({ length: 50 }, () => put('blog')))
      equal([...new Set(again.map(({ body }) => body.deploymentId))], [...ids])
      await pass()
      equal(
        notifier.events.slice(sent).map(({ event }) => event),
        ['accepted'],
      )
      equal(countCalls(swarm, 'tasks') - calls <= 2, true)
    },
  },
  {
    name: 'a deployment that converged stays converged when a task fails later and the image is sent again',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog')
      const first = await put('blog', { query: '?wait=50' })
      failAnHourLater(swarm)
      const second = await put('blog')
      equal(first.body.deploymentId === second.body.deploymentId, false)
      equal((await get(first.headers.get('Location') ?? '')).body.verdict, 'converged')
      equal((await get(second.headers.get('Location') ?? '')).body.verdict, 'pending')
      swarm.rollout('blog').run()
      const { body } = await get(`${second.headers.get('Location')}?wait=50`)
      equal([body.verdict, body.image], ['converged', 'me/app:v2'])
    },
  },
]

/** Two Deployers on one swarm, which know nothing of each other. */
function twoDeployers(): readonly [one: Harness, other: Harness, swarm: FakeSwarm] {
  const one = createHarness()
  one.swarm.addService('blog')
  return [one, createHarness({ swarm: one.swarm }), one.swarm]
}

export const twoProcesses: readonly Case[] = [
  {
    name: 'an older request whose registry was slow does not overwrite that of another Deployer',
    async run() {
      const [one, other, swarm] = twoDeployers()
      const { resolveImage } = swarm
      let nowMs = Date.now()
      swarm.clock = () => nowMs
      let release = (): void => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      swarm.resolveImage = async (reference, credentials) => {
        if (reference.endsWith(':v2')) {
          await held
        }
        return resolveImage(reference, credentials)
      }
      const slow = one.put('blog', { image: 'me/app:v2' })
      await pass()
      nowMs += 3000
      const { body: newer } = await other.put('blog', { image: 'me/app:v3' })
      release()
      const { status, body } = await slow
      equal([status, body.code, body.verdict], [409, 'superseded', 'superseded'])
      equal(body.deploymentId === newer.deploymentId, false)
      equal(swarm.spec('blog').TaskTemplate.ContainerSpec?.Image.startsWith('me/app:v3'), true)
    },
  },
  {
    name: 'of two requests to two Deployers within the uncertainty of their clocks, both are written',
    async run() {
      const [one, other, swarm] = twoDeployers()
      const { updateService } = swarm
      let isFirst = true
      swarm.updateService = async (service, spec, credentials) => {
        if (isFirst) {
          isFirst = false
          await other.put('blog', { image: 'me/app:v3' })
        }
        return updateService(service, spec, credentials)
      }
      const { body } = await one.put('blog', { image: 'me/app:v2' })
      equal(body.verdict, 'accepted')
      equal(swarm.spec('blog').TaskTemplate.ContainerSpec?.Image.startsWith('me/app:v2'), true)
    },
  },
  {
    name: 'the same key at two Deployers at the same time is one rollout, with force too',
    async run() {
      const [one, other, swarm] = twoDeployers()
      const init = {
        body: JSON.stringify({ image: 'me/app:v2', force: true }),
        headers: { 'Idempotency-Key': 'run-1' },
      }
      const answers = await Promise.all([one.put('blog', init), other.put('blog', init)])
      const ids = answers.map(({ body }) => body.deploymentId)
      equal(ids[0] === ids[1], true)
      equal(swarm.spec('blog').TaskTemplate.ForceUpdate, 1)
    },
  },
  {
    name: 'the same key that another Deployer writes between the reading and the write is one rollout',
    async run() {
      const [one, other, swarm] = twoDeployers()
      const init = {
        body: JSON.stringify({ image: 'me/app:v2', force: true }),
        headers: { 'Idempotency-Key': 'run-1' },
      }
      const { updateService } = swarm
      let written: unknown
      swarm.updateService = async (service, spec, credentials) => {
        if (written === undefined) {
          written = ''
          written = (await other.put('blog', init)).body.deploymentId
        }
        return updateService(service, spec, credentials)
      }
      const { body } = await one.put('blog', init)
      equal([body.deploymentId, swarm.spec('blog').TaskTemplate.ForceUpdate], [written, 1])
    },
  },
  {
    name: 'what processes could not note before they were killed is noted by the next one',
    async run() {
      const swarm = createFakeSwarm()
      const { ID } = swarm.addService('blog')
      const locations: string[] = []
      for (const image of ['me/app:v2', 'me/app:v3']) {
        const historyStore = historyOf(swarm).handle()
        historyStore.failure = new DeployerError('engine-unreachable', 'The process was killed')
        const stop = new AbortController()
        const killed = createHarness({ swarm, historyStore, signal: stop.signal })
        const { headers } = await killed.put('blog', { image, query: '?wait=50' })
        locations.push(String(headers.get('Location')))
        stop.abort()
      }
      equal(historyOf(swarm).labels(ID), undefined)
      await createHarness({ swarm }).put('blog', { image: 'me/app:v4', query: '?wait=50' })
      await until(() => historyOf(swarm).labels(ID) !== undefined)
      swarm.change('blog', ({ Labels: _, ...spec }) => ({
        ...spec,
        Labels: { 'deployer.allowUpdates': 'true' },
      }))
      const later = createHarness({ swarm })
      for (const location of locations) {
        equal((await later.get(location)).body.verdict, 'converged')
      }
    },
  },
  {
    name: 'an observation that another update has replaced cannot be told by another Deployer: 410',
    async run() {
      const [one, other, swarm] = twoDeployers()
      await one.put('blog', { query: '?wait=50' })
      failAnHourLater(swarm)
      const { body, headers } = await one.put('blog')
      equal(String(body.deploymentId).endsWith('-o'), true)
      const before = swarm.clock
      swarm.clock = () => before() + 10_000
      swarm.onUpdate = 'complete'
      swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
        ...spec,
        TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v9' } },
      }))
      await pass()
      const { status, body: problem } = await other.get(String(headers.get('Location')))
      equal([status, problem.code], [410, 'verdict-unknown'])
    },
  },
  {
    name: 'a superseded request joins the write of its key that a killed Deployer had sent before',
    async run() {
      const [one, other, swarm] = twoDeployers()
      const init = {
        body: JSON.stringify({ image: 'me/app:v2', force: true }),
        headers: { 'Idempotency-Key': 'run-1' },
      }
      const { resolveImage } = swarm
      let release = (): void => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      swarm.resolveImage = async (reference, credentials) => {
        swarm.resolveImage = resolveImage
        await held
        return resolveImage(reference, credentials)
      }
      const repeated = one.put('blog', init)
      await until(() => swarm.resolveImage === resolveImage)
      const { body: sent } = await other.put('blog', init)
      // A later request to the same Deployer is written meanwhile.
      equal((await one.put('blog', { image: 'me/app:v3' })).status, 200)
      release()
      equal((await repeated).body.deploymentId, sent.deploymentId)
    },
  },
]
