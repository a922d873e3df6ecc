import { describe, expect, test, vi } from 'vitest'
import { singleFlight } from '../../src/async/single-flight.ts'

describe('a shared call', () => {
  test('starts after each of its callers called, and never runs twice at the same time', async () => {
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

  test('that fails rejects for its callers, and not for later ones', async () => {
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
