import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createHarness, stopHarnesses, TOKEN } from '../behaviour/harness.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  stopHarnesses()
  vi.useRealTimers()
})

test('a stream whose reader stops reading, without disconnecting, leaves no watch behind', async () => {
  const first = createHarness()
  const { swarm } = first
  swarm.addService('blog')
  swarm.onUpdate = 'none'
  const { body } = await first.put('blog')
  swarm.rollout('blog').begin()
  const second = createHarness({ swarm })
  const path = `/deployments/${String(body.deploymentId)}`
  const headers = { Authorization: TOKEN, Accept: 'text/event-stream' }
  const response = await second.app.request(`${path}?wait=1`, { headers })
  expect(response.status).toBe(200)
  const calls = swarm.calls.length
  await vi.advanceTimersByTimeAsync(20_000)
  // The rollout was polled while nothing changed.
  expect(swarm.calls.length).toBeGreaterThan(calls)
  await vi.advanceTimersByTimeAsync(60_000)
  // `first` still watches its own deployment, and polls it now and then.
  const afterTheEnd = swarm.calls.length
  await vi.advanceTimersByTimeAsync(60_000)
  expect(swarm.calls.length - afterTheEnd).toBeLessThan(20)
  // A client that reads again gets the current state.
  expect(await response.text()).toContain('"rollout-pending"')
})
