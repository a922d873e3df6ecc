import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  createCallPool,
  createKeyedCallPools,
  PoolFullError,
} from '../../../src/node/docker/call-pool.ts'

const LIMITS = { maxRunning: 2, maxWaiting: 2, maxWaitMs: 5000 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Calls that end when the test ends them, and the order in which they started. */
function calls() {
  const started: number[] = []
  const ends = new Map<number, (error?: Error) => void>()
  const call = (n: number) => () => {
    started.push(n)
    return new Promise<number>((resolve, reject) => {
      ends.set(n, (error) => (error === undefined ? resolve(n) : reject(error)))
    })
  }
  return { started, call, end: (n: number, error?: Error) => ends.get(n)?.(error) }
}

describe('a pool of calls', () => {
  test('runs the maximum number of calls at a time, and the others in order', async () => {
    const { started, call, end } = calls()
    const pool = createCallPool(LIMITS)
    const results = [1, 2, 3, 4].map((n) => pool.run(call(n)))
    await vi.advanceTimersByTimeAsync(0)
    expect(started).toEqual([1, 2])
    end(2)
    await vi.advanceTimersByTimeAsync(0)
    expect(started).toEqual([1, 2, 3])
    for (const n of [1, 3, 4]) {
      end(n)
      await vi.advanceTimersByTimeAsync(0)
    }
    expect(await Promise.all(results)).toEqual([1, 2, 3, 4])
  })

  test('rejects a call at once if too many wait, and a waiting call after the maximum wait', async () => {
    const { started, call, end } = calls()
    const pool = createCallPool(LIMITS)
    const [first, second, third, fourth] = [1, 2, 3, 4].map((n) => pool.run(call(n)))
    await expect(pool.run(call(5))).rejects.toThrow(PoolFullError)
    const timedOut = [third, fourth].map((one) => expect(one).rejects.toThrow(PoolFullError))
    await vi.advanceTimersByTimeAsync(5000)
    await Promise.all(timedOut)
    end(1)
    end(2)
    expect(await Promise.all([first, second])).toEqual([1, 2])
    expect(started).toEqual([1, 2])
  })

  test('a call that fails lets the next one run', async () => {
    const { started, call, end } = calls()
    const pool = createCallPool({ ...LIMITS, maxRunning: 1 })
    const failed = expect(pool.run(call(1))).rejects.toThrow('broken')
    const second = pool.run(call(2))
    await vi.advanceTimersByTimeAsync(0)
    end(1, new Error('broken'))
    await failed
    await vi.advanceTimersByTimeAsync(0)
    expect(started).toEqual([1, 2])
    end(2)
    expect(await second).toBe(2)
    // The call that ran has no timer left.
    expect(vi.getTimerCount()).toBe(0)
  })
})

test('calls of different keys do not wait for each other', async () => {
  const { started, call, end } = calls()
  const pools = createKeyedCallPools({ maxRunning: 1, maxWaiting: 0, maxWaitMs: 5000 })
  const first = pools.run('one', call(1))
  await expect(pools.run('one', call(2))).rejects.toThrow(PoolFullError)
  const other = pools.run('two', call(3))
  await vi.advanceTimersByTimeAsync(0)
  expect(started).toEqual([1, 3])
  end(1)
  end(3)
  expect(await Promise.all([first, other])).toEqual([1, 3])
})
