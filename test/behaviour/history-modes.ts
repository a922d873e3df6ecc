// How many deployments the label on the service holds, by where the history is kept.

import { RECORD_LABEL } from '../../src/deployment/deployment-record.ts'
import { equal } from '../support/assert-json-equal.ts'
import { createFakeHistoryStore } from '../support/fake-history-store.ts'
import { type Case, createHarness, type HarnessOptions, historyOf, until } from './harness.ts'

const closedStore = createFakeHistoryStore()
closedStore.isClosed = true

const MODES: readonly (readonly [
  name: string,
  options: Pick<HarnessOptions, 'hasStore' | 'history' | 'historyStore'>,
  entries: number,
])[] = [
  ['without a store', { hasStore: false }, 8],
  ['with history label', { history: 'label', historyStore: createFakeHistoryStore() }, 8],
  ['with history off', { history: 'off', historyStore: createFakeHistoryStore() }, 2],
  ['with a store that may not be used', { historyStore: closedStore }, 8],
]

const byMode: readonly Case[] = MODES.map(([name, options, entries]) => ({
  name: `${name}, the label on the service holds ${entries} deployments`,
  async run() {
    const { swarm, put } = createHarness(options)
    swarm.addService('blog')
    for (let n = 0; n < 10; n += 1) {
      equal((await put('blog', { image: `me/app:v${n + 2}`, query: '?wait=50' })).status, 200)
    }
    equal(swarm.spec('blog').Labels?.[RECORD_LABEL]?.split(' ').length, entries)
  },
}))

export const historyModes: readonly Case[] = [
  ...byMode,
  {
    name: 'with a store, the label on the service holds the newest two deployments and those that are not stored yet',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const { ID } = swarm.service('blog')
      const stored = (verdicts: number): boolean =>
        JSON.stringify(historyOf(swarm).labels(ID) ?? {}).split('converged').length > verdicts
      const entries = (): number | undefined =>
        swarm.spec('blog').Labels?.[RECORD_LABEL]?.split(' ').length
      for (let n = 2; n < 6; n += 1) {
        await put('blog', { image: `me/app:v${n}`, query: '?wait=50' })
      }
      equal(entries(), 4)
      await until(() => stored(4))
      await put('blog', { image: 'me/app:v6', query: '?wait=50' })
      equal(entries(), 2)
    },
  },
]
