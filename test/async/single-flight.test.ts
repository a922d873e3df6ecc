import { describe, expect, test, vi } from 'vitest'
import { singleFlight } from '../../src/async/single-flight.ts'

describe('what callers share', () => {
  test('is done for none of them before they asked, and never twice at a time', async () => {
    let began = 0
    let running = 0
    const shared = singleFlight(async () => {
      began += 1
      running += 1
      expect(running).toBe(1)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running -= 1
    })
    const first = shared()
    await vi.waitFor(() => expect(began).toBe(1))
    const others = [shared(), shared(), shared()]
    await first
    expect(began).toBe(1)
    await Promise.all(others)
    expect(began).toBe(2)
  })

  test('tells those of a failure that it was done for, and nobody after', async () => {
    let isBroken = true
    const shared = singleFlight(async () => {
      if (isBroken) {
        throw new Error('broken')
      }
    })
    await expect(Promise.all([shared(), shared()])).rejects.toThrow('broken')
    isBroken = false
    await expect(shared()).resolves.toBeUndefined()
  })
})
