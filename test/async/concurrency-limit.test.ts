// A limit on simultaneous work.

import { expect, test } from 'vitest'
import { createConcurrencyLimit } from '../../src/async/concurrency-limit.ts'
import { createDeferred } from '../../src/async/deferred.ts'

test('work beyond the limit starts in its order, when earlier work has ended or failed', async () => {
  const limit = createConcurrencyLimit(2)
  const started: number[] = []
  const works = [0, 1, 2, 3].map((number) => {
    const [ended, end] = createDeferred<void>()
    const result = limit(async () => {
      started.push(number)
      await ended
      if (number === 0) {
        throw new Error('failed')
      }
      return number
    })
    result.catch(() => {})
    return { result, end }
  })
  expect(started).toEqual([0, 1])
  works[0]?.end()
  await expect(works[0]?.result).rejects.toThrow('failed')
  await expect.poll(() => started).toEqual([0, 1, 2])
  for (const { end } of works) {
    end()
  }
  expect(await Promise.all(works.slice(1).map(({ result }) => result))).toEqual([1, 2, 3])
  expect(started).toEqual([0, 1, 2, 3])
})
