// Behaviour of GET with a deployment's ID in another process, or in the same one after a restart.

import type { Deployment } from '../../src/deployment/deployment.ts'
import { legacyDeploymentId } from '../../src/deployment/legacy-deployment-id.ts'
import { equal } from '../support/assert-json-equal.ts'
import type { FakeRollout } from '../support/fake-rollout.ts'
import type { FakeSwarm } from '../support/fake-swarm.ts'
import {
  type Answer,
  type Case,
  countCalls,
  createHarness,
  type Harness,
  historyOf,
  pass,
  TOKEN,
  until,
} from './harness.ts'

interface Elsewhere {
  readonly name: string
  readonly status: number
  readonly verdict: string
  readonly code?: string
  steer(rollout: FakeRollout, swarm: FakeSwarm): void
}

const ELSEWHERE: readonly Elsewhere[] = [
  {
    name: 'converged',
    status: 200,
    verdict: 'converged',
    steer: (rollout) => rollout.complete(),
  },
  {
    name: 'under way',
    status: 200,
    verdict: 'pending',
    steer: (rollout) => rollout.start(),
  },
  {
    name: 'rolled back, which only the tasks show',
    status: 424,
    verdict: 'rolled-back',
    code: 'rollout-failed',
    steer: (rollout) => rollout.rollBack(),
  },
  {
    name: 'paused',
    status: 424,
    verdict: 'paused',
    code: 'rollout-failed',
    steer: (rollout) => rollout.pause(),
  },
  {
    name: 'failed, though the engine reports that it completed',
    status: 424,
    verdict: 'failed',
    code: 'rollout-failed',
    steer: (rollout) => rollout.failAndComplete(),
  },
  {
    name: 'of a removed service',
    status: 410,
    verdict: 'removed',
    code: 'service-removed',
    steer: (_, swarm) => swarm.remove('blog'),
  },
  {
    name: 'overwritten by another client',
    status: 410,
    verdict: 'unknown',
    code: 'verdict-unknown',
    steer: (_, swarm) => swarm.change('blog', (spec) => withImage(spec, 'me/app:v9')),
  },
]

type Spec = Parameters<Parameters<FakeSwarm['change']>[1]>[0]

function withImage(spec: Spec, Image: string): Spec {
  const { TaskTemplate } = spec
  const ContainerSpec = { ...TaskTemplate.ContainerSpec, Image }
  return { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } }
}

/** As `docker stack deploy` does, which knows only the labels of its file. */
function withoutRecord({ Labels, ...spec }: Spec): Spec {
  return { ...spec, Labels: { 'deployer.allowUpdates': 'true' } }
}

/** Deploys without waiting, and returns the Location. */
async function accepted({ swarm, put }: Harness, image = 'me/app:v2'): Promise<string> {
  swarm.onUpdate = 'none'
  return String((await put('blog', { image })).headers.get('Location'))
}

/** Waits until the history of `blog` has a verdict. */
async function noted({ swarm }: Harness, verdict: string): Promise<void> {
  const { ID } = swarm.service('blog')
  const labels = (): string => JSON.stringify(historyOf(swarm).labels(ID) ?? {})
  await until(() => labels().includes(`\\"verdict\\":\\"${verdict}`))
}

/** Sends the request to a new process. */
async function getFromNewProcess(
  { swarm }: Harness,
  location: string,
  query = '',
): Promise<Answer> {
  return createHarness({ swarm }).get(`${location}${query}`)
}

/** The ID of an observation of `blog` that nobody made: the only kind of ID that can be made up. */
function forgedId(swarm: FakeSwarm, startedMs = Date.now(), name = 'blog'): string {
  const { ID, Version } = swarm.service(name)
  return `${ID}-${Version.Index - 1}-${startedMs.toString(36)}-o`
}

/** Tasks of earlier rollouts are recognised by their age. */
function anHourLater({ swarm }: Harness): void {
  const before = swarm.clock
  swarm.clock = () => before() + 3_600_000
}

export const byId: readonly Case[] = [
  ...ELSEWHERE.map(({ name, status, verdict, code, steer }) => ({
    name: `another process finds a deployment ${name}: ${verdict}, ${status}`,
    async run() {
      const first = createHarness()
      first.swarm.addService('blog', { replicas: 2 })
      const location = await accepted(first)
      steer(first.swarm.rollout('blog'), first.swarm)
      const other = await getFromNewProcess(first, location)
      equal([other.status, other.body.verdict, other.body.code], [status, verdict, code])
      equal(other.headers.get('Location'), location)
      equal(
        [other.body.service, other.body.image, other.body.previous],
        ['blog', 'me/app:v2', 'me/app:v1'],
      )
      equal(Array.isArray(other.body.tasks), code === 'rollout-failed')
    },
  })),
  {
    name: 'another process can wait for a deployment in progress and gets its verdict',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      const rollout = first.swarm.rollout('blog')
      rollout.begin()
      const other = createHarness({ swarm: first.swarm })
      equal((await other.get(location)).body.verdict, 'pending')
      equal((await other.get(`${location}?wait=0`)).status, 504)
      const waits = other.get(`${location}?wait=50`)
      rollout.complete()
      const { status, body } = await waits
      equal([status, body.verdict], [200, 'converged'])
    },
  },
  {
    name: 'both processes report the same for a rollback, except the time at which they found it',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      first.swarm.logs.set('default', 'no database')
      const location = await accepted(first)
      const here = first.get(`${location}?wait=50`)
      first.swarm.rollout('blog').rollBack()
      const other = await getFromNewProcess(first, location)
      const { endedAt: _, ...expected } = (await here).body
      const { endedAt, ...body } = other.body
      equal(body, expected)
      equal(typeof endedAt, 'string')
    },
  },
  {
    name: 'the verdict that a later deployment recorded for an earlier one is reported by any process',
    async run() {
      const steps: readonly [verdict: string, steer: (rollout: FakeRollout) => void][] = [
        ['converged', (rollout) => rollout.complete()],
        ['rolled-back', (rollout) => rollout.rollBack()],
        ['paused', (rollout) => rollout.pause()],
        ['failed', (rollout) => rollout.failAndComplete()],
        ['superseded', (rollout) => rollout.begin()],
      ]
      for (const [verdict, steer] of steps) {
        const first = createHarness()
        first.swarm.addService('blog')
        const location = await accepted(first)
        const waiting = first.get(`${location}?wait=50`)
        steer(first.swarm.rollout('blog'))
        if (verdict !== 'superseded') {
          equal((await waiting).body.verdict, verdict)
        }
        const later = await accepted(first, 'me/app:v3')
        equal((await waiting).body.verdict, verdict)
        first.swarm.rollout('blog').complete()
        equal((await getFromNewProcess(first, location)).body.verdict, verdict)
        equal((await getFromNewProcess(first, later)).body.verdict, 'converged')
      }
    },
  },
  {
    name: 'a process that does not know the previous deployment reads its verdict before it writes',
    async run() {
      for (const [verdict, steer] of [
        ['converged', (rollout: FakeRollout) => rollout.complete()],
        ['paused', (rollout: FakeRollout) => rollout.pause()],
        ['superseded', (rollout: FakeRollout) => rollout.start()],
      ] as const) {
        const first = createHarness()
        first.swarm.addService('blog')
        const location = await accepted(first)
        steer(first.swarm.rollout('blog'))
        const second = createHarness({ swarm: first.swarm })
        await accepted(second, 'me/app:v3')
        first.swarm.rollout('blog').complete()
        equal((await getFromNewProcess(first, location)).body.verdict, verdict)
      }
    },
  },
  {
    name: 'without the record and without a history, a deployment is not found: 404',
    async run() {
      const first = createHarness({ history: 'label' })
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      await accepted(first, 'me/app:v3')
      first.swarm.change('blog', withoutRecord)
      const other = createHarness({ swarm: first.swarm, history: 'label' })
      const { status, body } = await other.get(location)
      equal([status, body.code], [404, 'deployment-not-found'])
    },
  },
  {
    name: 'without the record, the history has the verdict of an earlier deployment',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      await first.get(`${location}?wait=50`)
      await noted(first, 'converged')
      first.swarm.change('blog', withoutRecord)
      const { status, body } = await getFromNewProcess(first, location)
      equal([status, body.verdict, body.image], [200, 'converged', 'me/app:v2'])
    },
  },
  {
    name: 'a deployment that is older than all that is kept is 410 verdict-unknown, and so is one of a removed service',
    async run() {
      const first = createHarness()
      const { ID } = first.swarm.addService('blog')
      await accepted(first)
      const other = createHarness({ swarm: first.swarm })
      const older = await other.get(`/deployments/${ID}-1-mi3x5k2a`)
      equal([older.status, older.body.code], [410, 'verdict-unknown'])
      const gone = await other.get(`/deployments/${'x'.repeat(25)}-1-mi3x5k2a`)
      equal([gone.status, gone.body.code], [410, 'verdict-unknown'])
      const newer = await other.get(`/deployments/${ID}-900719925474099-mi3x5k2a`)
      equal([newer.status, newer.body.code], [404, 'deployment-not-found'])
    },
  },
  {
    name: 'an ID of an earlier version is read, and has no more power than a new one',
    async run() {
      const first = createHarness()
      const { ID } = first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      await first.get(`${location}?wait=50`)
      const { body } = await first.get(location)
      const deployment = body as unknown as Deployment
      const [, index] = location.slice('/deployments/'.length).split('-')
      const legacy = legacyDeploymentId({
        ...deployment,
        ...{ image: 'another/app:v9', forceUpdate: '7', versionIndex: Number(index) },
      })
      for (const one of [first, createHarness({ swarm: first.swarm })]) {
        const { status, headers, body: report } = await one.get(`/deployments/${legacy}`)
        equal([status, report.verdict, report.image], [200, 'converged', 'me/app:v2'])
        equal(headers.get('Location'), location)
      }
      const madeUp = legacyDeploymentId({
        ...deployment,
        ...{ forceUpdate: '0', versionIndex: 9e14, serviceId: ID },
        startedAt: '2026-01-01T00:00:00.000Z',
      })
      equal((await first.get(`/deployments/${madeUp}`)).status, 404)
    },
  },
  {
    name: 'a deployment that was rolled back is not reported as converged when a later one of its image is',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').rollBack()
      anHourLater(first)
      const second = createHarness({ swarm: first.swarm })
      const again = await accepted(second)
      first.swarm.rollout('blog').complete()
      const response = await getFromNewProcess(first, location)
      equal([response.status, response.body.verdict], [424, 'rolled-back'])
      equal((await getFromNewProcess(first, again)).body.verdict, 'converged')
    },
  },
  {
    name: 'a deployment that was rolled back is not reported as converged when another client deploys its image again',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      await accepted(first, 'me/app:v1')
      first.swarm.rollout('blog').complete()
      const location = await accepted(first)
      const { Image = '' } = first.swarm.spec('blog').TaskTemplate.ContainerSpec ?? {}
      first.swarm.rollout('blog').rollBack()
      await noted(first, 'rolled-back')
      anHourLater(first)
      first.swarm.change('blog', (spec) => withImage(spec, Image))
      first.swarm.rollout('blog').complete()
      equal((await getFromNewProcess(first, location)).body.verdict, 'rolled-back')
    },
  },
  {
    name: 'a rollback is not attributed to an earlier deployment that converged',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      const later = await accepted(first, 'me/app:v3')
      first.swarm.rollout('blog').rollBack()
      equal((await getFromNewProcess(first, location)).body.verdict, 'converged')
      equal((await getFromNewProcess(first, later)).body.verdict, 'rolled-back')
    },
  },
  {
    name: 'a rollback that pauses is no failure of the earlier deployment that it returns to',
    async run() {
      const first = createHarness({ hasStore: false })
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      await accepted(first, 'me/app:v3')
      first.swarm.rollout('blog').beginRollBack()
      first.swarm.rollout('blog').pauseRollBack()
      equal((await getFromNewProcess(first, location)).body.verdict, 'unknown')
    },
  },
  {
    name: 'an ID that is changed or truncated is 404 deployment-not-found, and the engine is not asked',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog')
      const { body } = await put('blog')
      const id = String(body.deploymentId)
      const calls = swarm.calls.length
      const wrong = [
        'x',
        'null',
        id.slice(1),
        `${id}=`,
        `${id}-`,
        `${id}-x`,
        id.toUpperCase(),
        `${id}${id}`,
        'A'.repeat(100_000),
        '%00',
        '%ff',
        '..%2f..%2fservices',
        btoa('[1,"blog"]'),
      ]
      for (const text of wrong) {
        const { status, body: problem } = await get(`/deployments/${text}`)
        equal([text, status, problem.code], [text, 404, 'deployment-not-found'])
        equal(String(problem.detail).length < 400, true)
      }
      equal(swarm.calls.length, calls)
    },
  },
  {
    name: 'an ID of a service that does not allow updates shows none of its tasks',
    async run() {
      for (const allowed of ['true', 'false']) {
        const first = createHarness()
        first.swarm.addService('blog')
        first.swarm.logs.set('default', 'PASSWORD=secret')
        const location = await accepted(first)
        const rollout = first.swarm.rollout('blog')
        rollout.begin()
        first.swarm.change('blog', ({ Labels, ...spec }) => ({
          ...spec,
          Labels: { ...Labels, 'deployer.allowUpdates': allowed },
        }))
        for (let times = 0; times < 3; times += 1) {
          rollout.fail()
        }
        const { body } = await getFromNewProcess(first, location)
        const isShown = allowed === 'true'
        equal([body.verdict, Array.isArray(body.tasks)], ['failed', isShown])
        const text = JSON.stringify(body)
        equal([allowed, text.includes('secret')], [allowed, isShown])
        equal([allowed, text.includes('its tasks are not shown')], [allowed, !isShown])
      }
    },
  },
  {
    name: 'the previous spec without failed tasks is no proof of a rollback: 410',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').rollBack()
      const { listTasks } = first.swarm
      first.swarm.listTasks = async (serviceId) =>
        (await listTasks(serviceId)).filter(({ Status }) => Status.State === 'running')
      equal((await getFromNewProcess(first, location)).body.verdict, 'unknown')
      first.swarm.listTasks = listTasks
      equal((await getFromNewProcess(first, location)).body.verdict, 'rolled-back')
    },
  },
  {
    name: 'the image of a deployment that another client writes much later without a record is no proof either: 410',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      const { Image = '' } = first.swarm.spec('blog').TaskTemplate.ContainerSpec ?? {}
      first.swarm.rollout('blog').rollBack()
      anHourLater(first)
      first.swarm.change('blog', (spec) => withImage(spec, Image))
      equal(first.swarm.spec('blog').Labels, { 'deployer.allowUpdates': 'true' })
      first.swarm.rollout('blog').complete()
      equal((await getFromNewProcess(first, location)).body.verdict, 'unknown')
    },
  },
  {
    name: 'the verdict of a write of another client is not recorded for a deployment before it',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').pause()
      first.swarm.change('blog', (spec) => withImage(spec, 'me/app:v9'))
      first.swarm.rollout('blog').complete()
      equal((await getFromNewProcess(first, location)).body.verdict, 'unknown')
      const second = createHarness({ swarm: first.swarm })
      equal((await second.put('blog', { image: 'me/app:v10' })).status, 200)
      equal((await getFromNewProcess(first, location)).body.verdict, 'unknown')
    },
  },
  {
    name: 'a deployment that ended long ago is not superseded by one that is written while it is read',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      equal((await first.get(`${location}?wait=50`)).body.verdict, 'converged')
      const second = createHarness({ swarm: first.swarm })
      const { listTasks } = first.swarm
      let release = (): void => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      first.swarm.listTasks = async (id) => {
        first.swarm.listTasks = listTasks
        await held
        return listTasks(id)
      }
      const waiting = second.get(`${location}?wait=50`)
      await until(() => first.swarm.listTasks === listTasks)
      equal((await second.put('blog', { image: 'me/app:v3' })).status, 200)
      release()
      equal((await waiting).body.verdict, 'converged')
    },
  },
  {
    name: 'a deployment that a request has joined is still watched when the caller that opened it by ID hangs up',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').begin()
      const second = createHarness({ swarm: first.swarm })
      const hangUp = new AbortController()
      const waiting = second.get(`${location}?wait=50`, { signal: hangUp.signal })
      await until(() => countCalls(first.swarm, 'tasks') > 0)
      const joined = await second.put('blog')
      equal(`/deployments/${joined.body.deploymentId}`, location)
      hangUp.abort()
      await waiting
      first.swarm.rollout('blog').complete()
      await until(() => second.logger.lines.some(({ verdict }) => verdict === 'converged'))
    },
  },
  {
    name: 'the event stream of a forged ID shows no tasks of a service that does not allow updates',
    async run() {
      for (const allowed of ['true', 'no']) {
        const first = createHarness()
        const Labels = { 'deployer.allowUpdates': allowed }
        first.swarm.addService('blog', { spec: { Labels } })
        const error = 'no suitable node (secret detail)'
        const { listTasks } = first.swarm
        first.swarm.listTasks = async (id) =>
          (await listTasks(id)).map((task) => ({
            ...task,
            DesiredState: 'running',
            Status: { ...task.Status, State: 'pending', Err: error },
          }))
        const request = new Request(`http://deployer/deployments/${forgedId(first.swarm)}?wait=1`, {
          headers: { Authorization: TOKEN, Accept: 'text/event-stream' },
        })
        const text = await (await first.app.fetch(request)).text()
        equal([text.includes('event: progress'), text.includes('event: verdict')], [true, true])
        const isShown = allowed === 'true'
        equal([allowed, text.includes('"tasks"')], [allowed, isShown])
        equal([allowed, text.includes('secret detail')], [allowed, isShown])
      }
    },
  },
  {
    name: 'forged IDs evict no verdict of a real deployment, and write no log line',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      equal((await first.get(`${location}?wait=50`)).body.verdict, 'converged')
      first.swarm.change('blog', withoutRecord)
      const lines = first.logger.lines.length
      const nowMs = Date.now()
      for (let n = 0; n < 1050; n += 1) {
        await first.get(`/deployments/${forgedId(first.swarm, nowMs - n)}`)
      }
      equal((await first.get(location)).body.verdict, 'converged')
      equal(first.logger.lines.length, lines)
    },
  },
  {
    name: '100 observations can be open by ID, others are 503 overloaded; a deployment is opened',
    async run() {
      const first = createHarness()
      first.swarm.addService('other')
      await accepted({ ...first, put: (_, init) => first.put('other', init) })
      first.swarm.rollout('other').begin()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').begin()
      const second = createHarness({ swarm: first.swarm })
      const stop = new AbortController()
      const nowMs = Date.now()
      const waits = Array.from({ length: 100 }, (_, n) =>
        second.get(`/deployments/${forgedId(first.swarm, nowMs + n, 'other')}?wait=50`, {
          signal: stop.signal,
        }),
      )
      // Until it waits, a request takes nothing but microtasks.
      await pass()
      const refused = await second.get(`/deployments/${forgedId(first.swarm, nowMs - 1, 'other')}`)
      equal([refused.status, refused.body.code], [503, 'overloaded'])
      equal(refused.headers.get('Retry-After'), '5')
      equal((await second.get(location)).body.verdict, 'pending')
      stop.abort()
      await Promise.all(waits)
      const later = await second.get(`/deployments/${forgedId(first.swarm, nowMs - 1, 'other')}`)
      equal([later.status, later.body.verdict], [200, 'pending'])
    },
  },
  {
    name: 'the limit of 100 holds for IDs that are opened at the same time',
    async run() {
      const first = createHarness()
      const { swarm, get } = first
      swarm.addService('blog')
      await accepted(first)
      swarm.rollout('blog').begin()
      const stop = new AbortController()
      const nowMs = Date.now()
      const waits = Array.from({ length: 130 }, (_, n) =>
        get(`/deployments/${forgedId(swarm, nowMs + n)}?wait=50`, { signal: stop.signal }),
      )
      await pass()
      stop.abort()
      const refused = (await Promise.all(waits)).filter(({ body }) => body.code === 'overloaded')
      equal(refused.length, 30)
    },
  },
  {
    name: '40 callers that wait for one service share the reading after a change',
    async run() {
      const first = createHarness()
      const { swarm } = first
      swarm.addService('blog')
      await accepted(first)
      swarm.rollout('blog').begin()
      const nowMs = Date.now()
      const second = createHarness({ swarm })
      const stop = new AbortController()
      const waits = Array.from({ length: 40 }, (_, n) =>
        second.get(`/deployments/${forgedId(swarm, nowMs + n)}?wait=50`, { signal: stop.signal }),
      )
      const readsTasks = (): number => countCalls(swarm, 'tasks')
      await until(() => readsTasks() >= 40)
      await new Promise((resolve) => setTimeout(resolve, 200))
      const before = readsTasks()
      swarm.change('blog', (spec) => ({ ...spec, Labels: { ...spec.Labels, team: 'web' } }))
      await until(() => readsTasks() > before)
      // All that a watch does between the event and its next wait takes microtasks.
      await pass()
      const came = readsTasks() - before
      equal([came, came < 10], [came, true])
      stop.abort()
      await Promise.all(waits)
    },
  },
  {
    name: '40 callers that follow one service share the readings of its tasks',
    async run() {
      const first = createHarness()
      const { app, swarm } = first
      swarm.addService('blog')
      await accepted(first)
      swarm.rollout('blog').begin()
      const nowMs = Date.now()
      const hangUp = new AbortController()
      const headers = { Authorization: TOKEN, Accept: 'text/event-stream' }
      const streams = Array.from({ length: 40 }, async (_, n) => {
        const url = `http://deployer/deployments/${forgedId(swarm, nowMs + n)}`
        const { body } = await app.fetch(new Request(url, { headers, signal: hangUp.signal }))
        await body?.pipeTo(new WritableStream()).catch(() => {})
      })
      const readsTasks = (): number => countCalls(swarm, 'tasks')
      await until(() => readsTasks() >= 40)
      await new Promise((resolve) => setTimeout(resolve, 500))
      const before = readsTasks()
      // Each of them reads the tasks once a second.
      await new Promise((resolve) => setTimeout(resolve, 2500))
      const came = readsTasks() - before
      equal([came >= 1, came < 20], [true, true])
      hangUp.abort()
      await Promise.all(streams)
    },
  },
  {
    name: 'an engine whose clock is behind does not change the verdict of an ID',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      const behind = createHarness({ swarm: first.swarm })
      const before = first.swarm.clock
      first.swarm.clock = () => before() - 90_000
      const { status, body } = await behind.get(location)
      equal([status, body.verdict], [200, 'converged'])
    },
  },
  {
    name: 'HEAD never streams, and leaves no watch running',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').begin()
      const second = createHarness({ swarm: first.swarm })
      for (const path of [location, '/service/blog', '/services']) {
        const request = new Request(`http://deployer${path}`, {
          method: 'HEAD',
          headers: { Authorization: TOKEN, Accept: 'text/event-stream' },
        })
        const { status, headers, body } = await second.app.fetch(request)
        equal(
          [path, status, headers.get('Content-Type'), body],
          [path, 200, 'application/json', null],
        )
      }
      const calls = first.swarm.calls.length
      await new Promise((resolve) => setTimeout(resolve, 2200))
      equal(first.swarm.calls.length, calls)
    },
  },
  {
    name: 'a stream whose client stops reading ends with its request',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      const rollout = first.swarm.rollout('blog')
      rollout.begin()
      const second = createHarness({ swarm: first.swarm })
      const hangUp = new AbortController()
      const request = new Request(`http://deployer${location}`, {
        headers: { Authorization: TOKEN, Accept: 'text/event-stream' },
        signal: hangUp.signal,
      })
      const response = await second.app.fetch(request)
      equal(response.status, 200)
      // The client does not read: the first write of the stream, or an early one, waits for ever.
      await until(() => countCalls(first.swarm, 'tasks') > 0)
      for (let n = 0; n < 20; n += 1) {
        rollout.fail()
        await pass()
      }
      hangUp.abort()
      await pass()
      const calls = first.swarm.calls.length
      await new Promise((resolve) => setTimeout(resolve, 2200))
      equal(first.swarm.calls.length, calls)
    },
  },
  {
    name: 'a deployment that was opened by ID causes no calls after the last caller has left',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      await createHarness({ swarm: first.swarm }).begin('blog')
      first.swarm.rollout('blog').begin()
      const id = forgedId(first.swarm)
      for (let n = 0; n < 3; n += 1) {
        equal((await first.get(`/deployments/${id}`)).body.verdict, 'pending')
        equal((await first.get(`/deployments/${id}?wait=0`)).status, 504)
      }
      const calls = first.swarm.calls.length
      await new Promise((resolve) => setTimeout(resolve, 1500))
      equal(first.swarm.calls.length, calls)
    },
  },
  {
    name: 'a deployment that converged is not reported as failed because a task fails hours later',
    async run() {
      for (const [history, later] of [
        ['config', 'converged'],
        ['label', 'unknown'],
      ] as const) {
        for (const failures of [1, 2, 3]) {
          const first = createHarness({ history })
          first.swarm.addService('blog')
          const location = await accepted(first)
          first.swarm.rollout('blog').complete()
          const other = createHarness({ swarm: first.swarm, history })
          equal((await other.get(location)).body.verdict, 'converged')
          anHourLater(first)
          for (let n = 0; n < failures; n += 1) {
            first.swarm.rollout('blog').fail()
          }
          const another = createHarness({ swarm: first.swarm, history })
          equal(
            [history, failures, (await another.get(location)).body.verdict],
            [history, failures, later],
          )
          first.swarm.rollout('blog').run()
          anHourLater(first)
          equal((await first.get(location)).body.verdict, 'converged')
        }
      }
    },
  },
  {
    name: 'a deployment whose tasks failed when the engine completed it is reported as failed at any later time',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').failAndComplete()
      anHourLater(first)
      equal((await getFromNewProcess(first, location)).body.verdict, 'failed')
    },
  },
  {
    name: 'the ID of a response without a write gives the same verdict in any process',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog', { replicas: 0 })
      await first.put('blog')
      const unchanged = await first.put('blog')
      equal(unchanged.body.verdict, 'unchanged')
      const { status, body } = await getFromNewProcess(
        first,
        String(unchanged.headers.get('Location')),
      )
      equal([status, body.verdict, typeof body.message], [200, 'unchanged', 'string'])
    },
  },
  {
    name: 'an engine that fails is reported as its error, and the next request finds the verdict',
    async run() {
      const first = createHarness()
      first.swarm.addService('blog')
      const location = await accepted(first)
      first.swarm.rollout('blog').complete()
      const other = createHarness({ swarm: first.swarm })
      first.swarm.failure = new Error('secret detail')
      const unavailable = await other.get(location)
      equal([unavailable.status, unavailable.body.code], [500, 'internal-error'])
      first.swarm.failure = undefined
      equal((await other.get(`${location}?wait=50`)).body.verdict, 'converged')
    },
  },
]
