import { describe, expect, test } from 'vitest'
import { backoffMs } from '../../src/async/backoff.ts'

describe('the backoff', () => {
  test.each([
    [1, 250, 500],
    [2, 500, 1000],
    [3, 1000, 2000],
    [6, 8000, 16_000],
    [7, 15_000, 30_000],
    [8, 15_000, 30_000],
    [5000, 15_000, 30_000],
  ])('after %i failures lasts from %i to %i ms', (failures, least, most) => {
    expect(backoffMs(failures, 0)).toBe(least)
    expect(backoffMs(failures, 1)).toBe(most)
  })

  test('is random', () => {
    const waits = Array.from({ length: 20 }, () => backoffMs(3))
    expect(new Set(waits).size).toBeGreaterThan(1)
    expect(waits.every((wait) => wait >= 1000 && wait <= 2000)).toBe(true)
  })
})
