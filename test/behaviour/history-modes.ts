// How many deployments the label on the service holds, by where the history is kept.

import { RECORD_LABEL } from '../../src/deployment/deployment-record.ts'
import { equal } from '../support/assert-json-equal.ts'
import { createFakeHistoryStore } from '../support/fake-history-store.ts'
import { type Case, createHarness, type HarnessOptions } from './harness.ts'

const closedStore = createFakeHistoryStore()
closedStore.isClosed = true

const MODES: readonly (readonly [
  name: string,
  options: Pick<HarnessOptions, 'hasStore' | 'history' | 'historyStore'>,
  entries: number,
])[] = [
  ['without a store', { hasStore: false }, 8],
  ['with a store', {}, 2],
  ['with history label', { history: 'label', historyStore: createFakeHistoryStore() }, 8],
  ['with history off', { history: 'off', historyStore: createFakeHistoryStore() }, 2],
  ['with a store that may not be used', { historyStore: closedStore }, 8],
]

/** Deploys ten images, and counts the deployments in the label. */
async function countAfterTen(options: HarnessOptions, pauseMs: number): Promise<number> {
  const { swarm, put } = createHarness(options)
  swarm.addService('blog')
  for (let n = 0; n < 10; n += 1) {
    swarm.clock = () => Date.now() + n * pauseMs
    equal((await put('blog', { image: `me/app:v${n + 2}`, query: '?wait=50' })).status, 200)
  }
  return swarm.spec('blog').Labels?.[RECORD_LABEL]?.split(' ').length ?? 0
}

export const historyModes: readonly Case[] = [
  ...MODES.map(([name, options, entries]) => ({
    name: `${name}, the label on the service holds ${entries} deployments`,
    run: async () => equal(await countAfterTen(options, 60_000), entries),
  })),
  {
    name: 'with a store, the label also holds what may not be in the store yet, and no more than 8',
    run: async () => equal(await countAfterTen({}, 0), 8),
  },
]
