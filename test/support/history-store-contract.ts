// The contract of the `HistoryStore` port: one test suite for the fake and for the adapter on a real
// engine.

import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FORMAT_LABEL, type HistoryStore } from '../../src/history/history-store.ts'

/** A store to test, and what other clients of the engine do. */
export interface HistoryStoreUnderTest {
  readonly store: HistoryStore
  /** Another process that uses the same data. */
  readonly other: HistoryStore
  /** Stores labels without {@link FORMAT_LABEL} in the place of the history of a service. */
  createForeign(serviceId: string, labels: Readonly<Record<string, string>>): Promise<void>
  /** The labels that are stored in the place of the history of a service. */
  labels(serviceId: string): Promise<Readonly<Record<string, string>> | undefined>
  /** Removes everything that the tests have stored. */
  clear(): Promise<void>
}

const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz'

/** IDs of services have 25 digits and small letters. */
function newServiceId(): string {
  return Array.from({ length: 25 }, () => LETTERS[randomInt(36)]).join('')
}

export function describeHistoryStore(
  name: string,
  setUp: () => Promise<HistoryStoreUnderTest>,
): void {
  describe(`the HistoryStore contract on ${name}`, () => {
    const labels = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
      [FORMAT_LABEL]: '1',
      'deployer.service': 'blog',
      ...more,
    })
    let subject: HistoryStoreUnderTest
    let store: HistoryStore

    beforeAll(async () => {
      subject = await setUp()
      store = subject.store
    })

    afterAll(() => subject.clear())

    async function read(serviceId: string) {
      const history = await store.read(serviceId)
      if (history === undefined) throw new Error(`There is no history of ${serviceId}`)
      return history
    }

    async function create(more: Readonly<Record<string, string>> = {}) {
      const serviceId = newServiceId()
      expect(await store.write(serviceId, labels(more), undefined)).toBe('written')
      return read(serviceId)
    }

    test('a service without a history', async () => {
      expect(await store.read(newServiceId())).toBeUndefined()
    })

    test('a history is created and read, also by another process', async () => {
      const { serviceId, labels: stored } = await create({ a: '1' })
      expect(stored).toEqual(labels({ a: '1' }))
      expect(await subject.other.read(serviceId)).toEqual(await read(serviceId))
      expect(await read(serviceId)).toMatchObject({ serviceId, labels: labels({ a: '1' }) })
    })

    test.each([
      ['shorter', (serviceId: string) => serviceId.slice(0, -1)],
      ['longer', (serviceId: string) => `${serviceId}0`],
      ['in capital letters', (serviceId: string) => `${serviceId.slice(0, -1)}a`.toUpperCase()],
      ['empty', () => ''],
      ['no ID', (serviceId: string) => `${serviceId}/../${serviceId}`],
    ])('the history of another service is not returned: the ID is %s', async (_, change) => {
      const { serviceId } = await create()
      const letter = `${serviceId.slice(0, -1)}a`
      await store.write(letter, labels(), undefined)
      expect(await store.read(change(serviceId))).toBeUndefined()
    })

    test('a write replaces all labels, and changes the version', async () => {
      const first = await create({ a: '1', b: '1' })
      expect(await store.write(first.serviceId, labels({ b: '2' }), first)).toBe('written')
      const second = await read(first.serviceId)
      expect(second.labels).toEqual(labels({ b: '2' }))
      expect(second.version).not.toBe(first.version)
    })

    test('a write of equal labels changes the version too', async () => {
      const first = await create()
      expect(await store.write(first.serviceId, first.labels, first)).toBe('written')
      expect((await read(first.serviceId)).version).not.toBe(first.version)
    })

    test('labels of any text, and 36 KiB in all, are kept as they are', async () => {
      const more = { empty: '', text: 'é "\\\n\t\u2028 <&>%/=', large: 'x'.repeat(35 * 1024) }
      expect((await create(more)).labels).toEqual(labels(more))
    })

    test('a history that exists is not created again', async () => {
      const { serviceId, version } = await create({ a: '1' })
      expect(await subject.other.write(serviceId, labels({ a: '2' }), undefined)).toBe(
        'out-of-sequence',
      )
      expect(await read(serviceId)).toMatchObject({ version, labels: labels({ a: '1' }) })
    })

    test('a write over an outdated version is out-of-sequence, and changes nothing', async () => {
      const first = await create()
      expect(await subject.other.write(first.serviceId, labels({ a: '1' }), first)).toBe('written')
      expect(await store.write(first.serviceId, labels({ a: '2' }), first)).toBe('out-of-sequence')
      expect((await read(first.serviceId)).labels).toEqual(labels({ a: '1' }))
    })

    test('of simultaneous writes over one version, exactly one is applied', async () => {
      const first = await create()
      const results = await Promise.all(
        [1, 2, 3, 4].map((n) => store.write(first.serviceId, labels({ n: `${n}` }), first)),
      )
      expect(results.filter((result) => result === 'written')).toHaveLength(1)
      const n = `${results.indexOf('written') + 1}`
      expect((await read(first.serviceId)).labels).toEqual(labels({ n }))
    })

    test('of simultaneous creations, exactly one is applied', async () => {
      const serviceId = newServiceId()
      const results = await Promise.all(
        [1, 2, 3, 4].map((n) => store.write(serviceId, labels({ n: `${n}` }), undefined)),
      )
      expect(results.filter((result) => result === 'written')).toHaveLength(1)
      const n = `${results.indexOf('written') + 1}`
      expect((await read(serviceId)).labels).toEqual(labels({ n }))
    })

    test('a history that is gone, or was created again, is out-of-sequence', async () => {
      const first = await create()
      await store.remove(first)
      expect(await store.write(first.serviceId, labels(), first)).toBe('out-of-sequence')
      expect(await store.read(first.serviceId)).toBeUndefined()
      expect(await subject.other.write(first.serviceId, labels({ a: '1' }), undefined)).toBe(
        'written',
      )
      expect(await store.write(first.serviceId, labels({ a: '2' }), first)).toBe('out-of-sequence')
      expect((await read(first.serviceId)).labels).toEqual(labels({ a: '1' }))
    })

    test('histories are listed by a label and its whole value', async () => {
      const service = `shop-${newServiceId()}`
      const histories = await Promise.all([
        create({ 'deployer.service': service }),
        create({ 'deployer.service': service }),
        create({ 'deployer.service': `${service}2` }),
      ])
      const list = await store.list(`deployer.service=${service}`)
      expect(list).toHaveLength(2)
      expect(list).toEqual(expect.arrayContaining(histories.slice(0, 2)))
      expect(await store.list(`deployer.service=${service.slice(0, -1)}`)).toEqual([])
      expect(await store.list(`${FORMAT_LABEL}=1`)).toEqual(expect.arrayContaining(histories))
    })

    test('a history is removed, and is gone the second time', async () => {
      const history = await create()
      await store.remove(history)
      expect(await store.read(history.serviceId)).toBeUndefined()
      await subject.other.remove(history)
    })

    test('a history that was written or created since it was read is not removed', async () => {
      const first = await create()
      expect(await subject.other.write(first.serviceId, labels({ a: '1' }), first)).toBe('written')
      await store.remove(first)
      const second = await read(first.serviceId)
      expect(second.labels).toEqual(labels({ a: '1' }))
      await store.remove(second)
      expect(await subject.other.write(first.serviceId, labels(), undefined)).toBe('written')
      await store.remove(second)
      expect((await read(first.serviceId)).labels).toEqual(labels())
    })

    test('what others stored in the place of a history is no history, and stays', async () => {
      const serviceId = newServiceId()
      const foreign = { 'deployer.service': `foreign-${serviceId}` }
      await subject.createForeign(serviceId, foreign)
      expect(await store.read(serviceId)).toBeUndefined()
      expect(await store.list(`deployer.service=foreign-${serviceId}`)).toEqual([])
      await expect(store.write(serviceId, labels(), undefined)).rejects.toMatchObject({
        code: 'engine-error',
        message: expect.stringContaining(serviceId),
      })
      await store.remove({ serviceId, version: '1.1', labels: foreign })
      expect(await subject.labels(serviceId)).toEqual(foreign)
    })
  })
}
