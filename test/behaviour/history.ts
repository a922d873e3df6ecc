// Behaviour of the history of a service.

import { DeployerError } from '../../src/errors.ts'
import type { HistoryEntry } from '../../src/history/history-entry.ts'
import { readEntries, withNotes } from '../../src/history/history-labels.ts'
import { templateFingerprint } from '../../src/history/template-fingerprint.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'
import { equal } from '../support/assert-json-equal.ts'
import { createFakeHistoryStore, type FakeHistoryStore } from '../support/fake-history-store.ts'
import { digestOf } from '../support/fake-registry.ts'
import { type Case, createHarness, pass, pinned, read, TOKEN, until } from './harness.ts'

type Entries = ReturnType<typeof readEntries>

function entriesOf(store: FakeHistoryStore, serviceId: string): Entries {
  return readEntries(store.labels(serviceId) ?? {})
}

export const history: readonly Case[] = [
  {
    name: 'a deployment is noted with its request, and its verdict follows',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, put } = createHarness({ historyStore })
      const { ID, Version } = swarm.addService('blog', { image: 'me/app:v1' })
      const metadata = { commit: '1f2e3d', run: '42', secret: 'x' }
      await put('blog', {
        query: '?wait=50',
        body: JSON.stringify({ image: 'me/app:v2', metadata }),
        headers: { 'Idempotency-Key': 'one' },
      })
      await until(() => entriesOf(historyStore, ID)[0]?.verdict !== undefined)
      const [entry, ...others] = entriesOf(historyStore, ID)
      const { startedAt = '', endedAt = '', key = '', ...rest } = entry ?? { versionIndex: 0 }
      equal(rest, {
        versionIndex: Version.Index,
        kind: 'deploy',
        image: 'me/app:v2',
        resolved: pinned('me/app:v2'),
        previous: 'me/app:v1',
        forceUpdate: '0',
        caller: 'token',
        verdict: 'converged',
        commit: '1f2e3d',
        run: '42',
        template: templateFingerprint(swarm.spec('blog')),
      })
      equal([others.length, key !== '', startedAt <= endedAt], [0, true, true])
    },
  },
  {
    name: 'a failed deployment is noted with its error, and without log lines',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, begin } = createHarness({ historyStore })
      const { ID } = swarm.addService('blog')
      const { answer, rollout } = await begin('blog')
      rollout.rollBack()
      await answer
      await until(() => entriesOf(historyStore, ID)[0]?.verdict !== undefined)
      const [entry] = entriesOf(historyStore, ID)
      equal([entry?.verdict, entry?.error !== undefined], ['rolled-back', true])
    },
  },
  {
    name: 'a request that wrote nothing is in no history',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, put } = createHarness({ historyStore })
      swarm.addService('blog', { image: pinned('me/app:v2') })
      equal((await put('blog', { query: '?wait=50' })).body.verdict, 'unchanged')
      equal(historyStore.serviceIds(), [])
    },
  },
  {
    name: 'GET /service/<name>/history has each deployment, newest first, the same from every process',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, put, get } = createHarness({ historyStore })
      const { ID } = swarm.addService('blog', { image: 'me/app:v1' })
      const other = createHarness({ swarm, historyStore: historyStore.handle() })
      await put('blog', { query: '?wait=50' })
      await put('blog', { image: 'me/app:v3', query: '?wait=50' })
      const { status, body } = await get('/service/blog/history')
      equal(status, 200)
      const [newest, oldest, ...rest] = body.deployments as Record<string, unknown>[]
      equal([rest.length, Object.keys(body)], [0, ['service', 'deployments']])
      const { deploymentId, startedAt, endedAt, ...members } = newest ?? {}
      equal(members, {
        image: 'me/app:v3',
        digest: digestOf('me/app:v3'),
        previous: pinned('me/app:v2'),
        caller: 'token',
        kind: 'deploy',
        verdict: 'converged',
        error: '',
        commit: '',
        run: '',
      })
      const start = Date.parse(String(startedAt)).toString(36)
      equal(String(deploymentId).startsWith(`${ID}-`), true)
      equal([String(deploymentId).endsWith(`-${start}`), endedAt === null], [true, false])
      equal([oldest?.image, oldest?.verdict], ['me/app:v2', 'converged'])
      await until(() => entriesOf(historyStore, ID).length === 2)
      await until(() => entriesOf(historyStore, ID).every(({ verdict }) => verdict !== undefined))
      equal((await other.get('/service/blog/history')).body, body)
      equal((await other.get(`/service/${ID}/history`)).body, body)
    },
  },
  {
    name: 'a history has all services that had the name, with those that are gone, and one service by ID',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, put, get } = createHarness({ historyStore })
      const gone = 'gonegonegonegonegonegone1'
      const notes = { service: 'blog', entries: [entryAt(1)] }
      historyStore.put(gone, withNotes({}, notes, 10))
      const ids = async (name: string): Promise<unknown> =>
        (
          (await get(`/service/${name}/history`)).body.deployments as { deploymentId: string }[]
        ).map(({ deploymentId }) => deploymentId.slice(0, 25))
      equal(await ids('blog'), [gone])
      const { ID } = swarm.addService('blog')
      equal(await ids(ID), [])
      await put('blog')
      equal([await ids('blog'), await ids(ID), await ids(gone)], [[ID, gone], [ID], [gone]])
      equal((await get(`/service/${gone}/history`)).body.service, 'blog')
      await until(() => historyStore.labels(gone)?.['deployer.removedAt'] !== undefined)
      equal(historyStore.labels(ID)?.['deployer.removedAt'], undefined)
    },
  },
  {
    name: 'a history that nobody has is 404, and an invalid name reaches neither engine nor store',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, get } = createHarness({ historyStore })
      swarm.addService('blog', { labels: {} })
      equal((await get('/service/blog/history')).body, { service: 'blog', deployments: [] })
      const missing = await get('/service/nosuch/history')
      equal([missing.status, missing.body.code], [404, 'service-not-found'])
      const { length } = swarm.calls
      const invalid = await get('/service/..%2fx%3dy/history')
      equal(
        [invalid.status, invalid.body.code, swarm.calls.length],
        [404, 'service-not-found', length],
      )
      equal(historyStore.calls, ['list deployer.service=blog', 'list deployer.service=nosuch'])
    },
  },
  {
    name: 'without a history the answer is 404 history-unavailable',
    async run() {
      const closed = createFakeHistoryStore()
      closed.isClosed = true
      for (const options of [{ hasStore: false }, { historyStore: closed }] as const) {
        const { swarm, get } = createHarness(options)
        swarm.addService('blog')
        const { status, body } = await get('/service/blog/history')
        equal([status, body.code], [404, 'history-unavailable'])
      }
    },
  },
  {
    name: 'a history needs the token, allows GET only, and reports the errors of engine and store',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { app, swarm, get } = createHarness({ historyStore })
      swarm.addService('blog')
      const path = '/service/blog/history'
      const missing = await read(await app.request(path))
      equal([missing.status, missing.body.code], [401, 'missing-token'])
      const headers = { Authorization: TOKEN }
      const post = await read(await app.request(path, { method: 'PUT', headers }))
      equal([post.status, post.headers.get('Allow')], [405, 'GET'])
      equal([swarm.calls.length, historyStore.calls.length], [0, 0])
      historyStore.failure = new DeployerError('no-quorum', 'No leader')
      equal((await get(path)).body.code, 'no-quorum')
      swarm.failure = new DeployerError('swarm-locked', 'Locked')
      equal((await get(path)).body.code, 'swarm-locked')
    },
  },
  {
    name: 'a history as text has one line for each deployment',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { app, swarm } = createHarness({ historyStore })
      const { ID } = swarm.addService('blog')
      historyStore.put(
        ID,
        withNotes(
          {},
          {
            service: 'blog',
            entries: [
              { ...entryAt(1), kind: 'outside', resolved: 'me/app:v1' },
              { ...entryAt(2), image: 'me/app:v2', caller: 'ci', run: '42', commit: '1f\n2e' },
              { ...entryAt(3), image: 'me/app:v3', verdict: 'failed', error: 'exit code 1' },
            ],
          },
          10,
        ),
      )
      const response = await app.request('/service/blog/history', {
        headers: { Authorization: TOKEN, Accept: 'text/plain' },
      })
      const start = '2026-01-01T00:00:00.000Z'
      const id = (index: number): string => `${ID}-${index}-${Date.parse(start).toString(36)}`
      equal((await response.text()).split('\n'), [
        'service blog: 3 deployments',
        `failed: ${start}, image me/app:v3, deployment ${id(3)}`,
        '    exit code 1',
        `pending: ${start} by ci, image me/app:v2, commit 1f 2e, run 42, deployment ${id(2)}`,
        `outside: ${start}, image me/app:v1, deployment ${id(1)}`,
        '',
      ])
    },
  },
  {
    name: 'a change by another client is entered once, when a service is read',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, put, get } = createHarness({ historyStore })
      const other = createHarness({ swarm, historyStore: historyStore.handle() })
      const { ID } = swarm.addService('blog', { image: 'me/app:v1' })
      await put('blog', { query: '?wait=50' })
      swarm.change('blog', (spec) => withImage(spec, 'me/app:v3'))
      await until(() => entriesOf(historyStore, ID).length > 0)
      for (const harness of [{ get }, other, { get }]) {
        await harness.get('/service/blog')
        // What was read is looked at after the response.
        await pass()
        const { body } = await harness.get('/service/blog/history')
        const [outside, own, ...rest] = body.deployments as Record<string, unknown>[]
        equal([outside?.kind, outside?.image, outside?.verdict], ['outside', 'me/app:v3', null])
        equal([outside?.previous, outside?.caller], [pinned('me/app:v2'), ''])
        equal([own?.kind, rest.length], ['deploy', 0])
      }
      await until(() => entriesOf(historyStore, ID).length === 2)
    },
  },
  {
    name: 'labels, rollbacks of the engine, and services that allow no updates are no changes by others',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, begin, get } = createHarness({ historyStore })
      const { ID } = swarm.addService('blog', { image: 'me/app:v1' })
      swarm.addService('closed', { labels: {}, image: 'me/app:v1' })
      const { answer, rollout } = await begin('blog')
      rollout.rollBack()
      await answer
      swarm.change('closed', (spec) => withImage(spec, 'me/app:v3'))
      await get('/service/closed')
      await get('/service/blog')
      swarm.change('blog', (spec) => ({ ...spec, Labels: { 'deployer.allowUpdates': 'true' } }))
      await get('/service/blog')
      const { body } = await get('/service/blog/history')
      equal((body.deployments as unknown[]).length, 1)
      await until(() => entriesOf(historyStore, ID).length > 0)
      equal(historyStore.serviceIds(), [ID])
    },
  },
  {
    name: 'with watchForeignChanges, changes and removals by others are noted without a request',
    async run() {
      const historyStore = createFakeHistoryStore()
      const { swarm, put } = createHarness({ historyStore, watchForeignChanges: true })
      const { ID } = swarm.addService('blog', { image: 'me/app:v1' })
      await put('blog', { query: '?wait=50' })
      swarm.change('blog', (spec) => withImage(spec, 'me/app:v3'))
      await until(() => entriesOf(historyStore, ID)[0]?.kind === 'outside')
      swarm.remove('blog')
      await until(() => historyStore.labels(ID)?.['deployer.removedAt'] !== undefined)
    },
  },
  {
    name: 'without watchForeignChanges, no event stream is open between requests',
    async run() {
      const { swarm } = createHarness({ historyStore: createFakeHistoryStore() })
      swarm.addService('blog')
      equal(swarm.calls, [])
    },
  },
]

function entryAt(versionIndex: number): HistoryEntry {
  return { versionIndex, startedAt: '2026-01-01T00:00:00.000Z' }
}

function withImage(spec: ServiceSpec, Image: string): ServiceSpec {
  return { ...spec, TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image } } }
}
