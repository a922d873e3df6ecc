import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createDeployer } from '../../src/deployer.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingNotifier } from '../support/recording-fakes.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('a service that changes during every attempt is not updated: 503 after 20 s, with pauses between the attempts', async () => {
  const swarm = createFakeSwarm()
  swarm.addService('blog')
  swarm.beforeUpdate = () => swarm.change('blog', (spec) => spec)
  const app = createDeployer({ token: 'x', swarm })
  const init = { method: 'PUT', body: '{"image":"me/app:v2"}', headers: { Authorization: 'x' } }
  const outcome = Promise.resolve(app.request('/service/blog', init))
  await vi.advanceTimersByTimeAsync(19_500)
  const attempts = swarm.calls.filter((call) => call === 'update blog').length
  await vi.advanceTimersByTimeAsync(1_500)
  const response = await outcome
  expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '1'])
  expect(await response.json()).toMatchObject({
    code: 'update-out-of-sequence',
    detail: expect.stringContaining('nothing was written'),
  })
  expect(attempts).toBeGreaterThan(20)
  expect(attempts).toBeLessThan(150)
})

test("a rejected request gets its reason when the swarm's clock fails, and the event has the time of this machine", async () => {
  const swarm = createFakeSwarm()
  const notifier = createRecordingNotifier()
  swarm.clock = () => {
    throw new Error('no clock')
  }
  const startedAt = new Date().toISOString()
  const app = createDeployer({ token: 'x', swarm, notifier: notifier.notify })
  const init = { method: 'PUT', body: '{"image":"me/app:v2"}', headers: { Authorization: 'x' } }
  const response = await app.request('/service/nosuch', init)
  expect(await response.json()).toMatchObject({ code: 'service-not-found' })
  expect(response.status).toBe(404)
  await vi.waitFor(() => expect(notifier.events).toHaveLength(1))
  expect(notifier.events[0]).toMatchObject({ event: 'refused', startedAt })
})
