import { afterEach, expect, test, vi } from 'vitest'
import { createHarness } from '../behaviour/harness.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('at most 20 requests with a wrong token are logged a second, with the number of the others', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { logger, put } = createHarness()
  const flood = async (requests: number): Promise<void> => {
    for (let n = 0; n < requests; n += 1) {
      expect((await put('blog', { headers: { Authorization: 'wrong' } })).status).toBe(401)
    }
  }
  await flood(50)
  expect(logger.lines).toHaveLength(20)
  vi.advanceTimersByTime(1000)
  await flood(1)
  expect(logger.lines).toHaveLength(21)
  expect(logger.lines.at(-1)).toMatchObject({ code: 'invalid-token', leftOut: 30 })
  vi.advanceTimersByTime(1000)
  await flood(1)
  expect(logger.lines.at(-1)).not.toHaveProperty('leftOut')
})

test('accepted and otherwise rejected deployments are all logged', async () => {
  const { logger, put, swarm } = createHarness()
  swarm.addService('blog')
  for (let n = 0; n < 50; n += 1) {
    await put(n % 2 === 0 ? 'blog' : 'nosuch')
  }
  expect(logger.lines).toHaveLength(50)
})
