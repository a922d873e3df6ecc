import { expect, test } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import { FORMAT_LABEL } from '../../src/history/history-store.ts'
import { createFakeHistoryStore } from '../support/fake-history-store.ts'
import { describeHistoryStore } from '../support/history-store-contract.ts'

const LABELS = { [FORMAT_LABEL]: '1' }

describeHistoryStore('the fake', async () => {
  const store = createFakeHistoryStore()
  return {
    store,
    other: store.handle(),
    createForeign: async (serviceId, labels) => store.put(serviceId, labels),
    labels: async (serviceId) => store.labels(serviceId),
    clear: async () => {},
  }
})

test('the fake records its calls, for each handle alone', async () => {
  const store = createFakeHistoryStore()
  const other = store.handle()
  await store.write('abc', LABELS, undefined)
  await other.read('abc')
  expect([store.calls, other.calls]).toEqual([['write abc'], ['read abc']])
})

test('the fake rejects while it is closed or fails, for one handle alone', async () => {
  const store = createFakeHistoryStore()
  const other = store.handle()
  store.isClosed = true
  await expect(store.list('a=b')).rejects.toMatchObject({ code: 'history-unavailable' })
  store.isClosed = false
  store.failure = new DeployerError('no-quorum', 'Cannot read: no leader')
  await expect(store.write('abc', LABELS, undefined)).rejects.toBe(store.failure)
  expect(await other.read('abc')).toBeUndefined()
  store.failure = undefined
  expect(await store.write('abc', LABELS, undefined)).toBe('written')
})

test('the fake applies a write whose answer is lost', async () => {
  const store = createFakeHistoryStore()
  store.losesAnswers = true
  await expect(store.write('abc', LABELS, undefined)).rejects.toMatchObject({
    code: 'engine-unreachable',
  })
  expect(store.labels('abc')).toEqual(LABELS)
})

test('another process can write between the read and the write of the fake', async () => {
  const store = createFakeHistoryStore()
  const other = store.handle()
  store.beforeWrite = async () => void (await other.write('abc', LABELS, undefined))
  expect(await store.write('abc', { ...LABELS, a: '1' }, undefined)).toBe('out-of-sequence')
  expect(store.labels('abc')).toEqual(LABELS)
})
