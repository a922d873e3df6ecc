import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createIdempotencyKeys, fingerprintOf } from '../../src/update/idempotency.ts'

const HOUR = 3_600_000

describe('idempotency keys', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function setUp() {
    const keys = createIdempotencyKeys<number>()
    let runs = 0
    const once = (service: string, fingerprint: string): Promise<number> =>
      keys.once(service, fingerprint, async () => {
        runs += 1
        return runs
      })
    return { keys, once }
  }

  test('a key runs one request of a service, whether or not the first one has ended', async () => {
    const { once } = setUp()
    const both = [once('blog', 'k.r'), once('blog', 'k.r')]
    expect(await Promise.all(both)).toEqual([1, 1])
    expect(await once('blog', 'k.r')).toBe(1)
    expect(await once('shop', 'k.r')).toBe(2)
    expect(await once('blog', 'other.r')).toBe(3)
  })

  test('a key of another request is rejected, while the first one is in progress and later', async () => {
    const { once } = setUp()
    const first = once('blog', 'k.r')
    await expect(once('blog', 'k.s')).rejects.toMatchObject({ code: 'idempotency-key-reused' })
    await first
    await expect(once('blog', 'k.s')).rejects.toMatchObject({ code: 'idempotency-key-reused' })
    expect(await once('blog', 'k.r')).toBe(1)
  })

  test('a key is free again after a rejection, which all repeated requests get', async () => {
    const { keys, once } = setUp()
    const refuse = (): Promise<number> => Promise.reject(new Error('refused'))
    const both = [keys.once('blog', 'k.r', refuse), keys.once('blog', 'k.r', refuse)]
    const results = await Promise.allSettled(both)
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await once('blog', 'k.s')).toBe(1)
  })

  test('a key is forgotten 24 hours after its first request, and not before', async () => {
    const { once } = setUp()
    await once('blog', 'k.r')
    vi.advanceTimersByTime(24 * HOUR - 1)
    expect(await once('blog', 'k.r')).toBe(1)
    vi.advanceTimersByTime(1)
    expect(await once('blog', 'k.s')).toBe(2)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a system clock that jumps ahead by a day makes no request run again', async () => {
    const { once } = setUp()
    await once('blog', 'k.r')
    vi.setSystemTime(Date.now() + 25 * HOUR)
    expect(await once('blog', 'k.r')).toBe(1)
  })

  test('a key that is used often is forgotten before a newer one', async () => {
    const { once } = setUp()
    await once('blog', 'often.r')
    for (let index = 0; index < 10_000; index += 1) {
      await once('blog', `k${index}.r`)
      await once('blog', index < 9000 ? 'often.r' : `k${index}.r`)
    }
    expect(await once('blog', 'k0.r')).toBe(2)
    expect(await once('blog', 'often.r')).toBe(10_002)
  })

  test('the oldest of more than ten thousand keys is forgotten', async () => {
    const { once } = setUp()
    for (let index = 0; index <= 10_001; index += 1) {
      await once('blog', `k${index}.r`)
    }
    expect(await once('blog', 'k10001.r')).toBe(10_002)
    expect(await once('blog', 'k9.r')).toBe(10)
    expect(await once('blog', 'k0.r')).toBe(10_003)
  })
})

describe('fingerprintOf', () => {
  test('differs by key and by request, and contains neither', async () => {
    const fingerprints = await Promise.all([
      fingerprintOf('key', ['me/app:v2']),
      fingerprintOf('key', ['me/app:v3']),
      fingerprintOf('other', ['me/app:v2']),
      fingerprintOf('key', ['me/app:v2']),
    ])
    const [one, otherRequest, otherKey, same] = fingerprints.map((one) => one.split('.'))
    expect(same).toEqual(one)
    expect([otherRequest?.[0] === one?.[0], otherRequest?.[1] === one?.[1]]).toEqual([true, false])
    expect([otherKey?.[0] === one?.[0], otherKey?.[1] === one?.[1]]).toEqual([false, true])
    for (const fingerprint of fingerprints) {
      expect(fingerprint).toMatch(/^[0-9a-f]{24}\.[0-9a-f]{24}$/)
    }
  })
})
