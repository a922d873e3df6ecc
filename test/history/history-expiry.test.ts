import { expect, test } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import { KEEP_REMOVED_MS, removeExpired } from '../../src/history/history-expiry.ts'
import { withNotes } from '../../src/history/history-labels.ts'
import { createFakeHistoryStore } from '../support/fake-history-store.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'

const NOW = Date.parse('2026-02-01T00:00:00.000Z')

function labels(removedMs?: number): Readonly<Record<string, string>> {
  const removedAt = removedMs === undefined ? undefined : new Date(removedMs).toISOString()
  return withNotes({}, { service: 'blog', entries: [], removedAt }, 10)
}

function swarmAt(nowMs: number): FakeSwarm {
  const swarm = createFakeSwarm()
  swarm.now = () => nowMs
  return swarm
}

test('a history is removed 7 days after its service was seen to be gone, and not before', async () => {
  const store = createFakeHistoryStore()
  store.put('due', labels(NOW - KEEP_REMOVED_MS - 1))
  store.put('later', labels(NOW - KEEP_REMOVED_MS))
  store.put('strange', { ...labels(), 'deployer.removedAt': 'yesterday' })
  store.put('foreign', { 'deployer.removedAt': '2020-01-01T00:00:00.000Z' })
  const options = { swarm: swarmAt(NOW), store, existing: new Set<string>() }
  expect(await removeExpired(options)).toBe(1)
  expect(store.serviceIds()).toEqual(['later', 'strange', 'foreign'])
})

test('a service that is there is not taken for gone, whatever its history says', async () => {
  const store = createFakeHistoryStore()
  const swarm = swarmAt(NOW)
  const { ID } = swarm.addService('blog')
  store.put(ID, labels(0))
  expect(await removeExpired({ swarm, store, existing: new Set() })).toBe(0)
  expect(store.serviceIds()).toEqual([ID])
})

test('services of histories that are not known to exist are looked up, and no others', async () => {
  const store = createFakeHistoryStore()
  const swarm = swarmAt(NOW)
  store.put('known', labels())
  store.put('unknown', labels())
  store.put('noted', labels(NOW))
  await removeExpired({ swarm, store, existing: new Set(['known']) })
  expect(swarm.calls).toEqual(['inspect unknown'])
})

test('where the engine fails, nothing is removed', async () => {
  const store = createFakeHistoryStore()
  const swarm = swarmAt(NOW)
  store.put('due', labels(0))
  swarm.failure = new DeployerError('no-quorum', 'No leader')
  await expect(removeExpired({ swarm, store, existing: new Set() })).rejects.toBe(swarm.failure)
  expect(store.serviceIds()).toEqual(['due'])
})
