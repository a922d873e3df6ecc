// Behaviour of the history of a service.

import { readEntries } from '../../src/history/history-labels.ts'
import { templateFingerprint } from '../../src/history/template-fingerprint.ts'
import { equal } from '../support/assert-json-equal.ts'
import { createFakeHistoryStore, type FakeHistoryStore } from '../support/fake-history-store.ts'
import { type Case, createHarness, pinned, until } from './harness.ts'

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
]
