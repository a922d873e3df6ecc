import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { deploy } from '../src/deploy.ts'
import { parseImageReference } from '../src/image-reference.ts'
import { createFakeSwarm } from './support/fake-swarm.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('a service that changes under every attempt is given up after 10 s, with pauses between', async () => {
  const swarm = createFakeSwarm()
  swarm.addService('blog')
  swarm.beforeUpdate = () => swarm.change('blog', (spec) => spec)
  const image = parseImageReference('me/app:v2')
  const outcome = deploy({ service: 'blog', image }, swarm).catch((error) => error)
  await vi.advanceTimersByTimeAsync(9_500)
  const attempts = swarm.calls.length
  await vi.advanceTimersByTimeAsync(1_500)
  expect(await outcome).toMatchObject({
    code: 'update-out-of-sequence',
    status: 503,
    retryAfterSeconds: 1,
    message: expect.stringContaining('nothing was written'),
  })
  expect(attempts).toBeGreaterThan(20)
  expect(attempts).toBeLessThan(200)
})
