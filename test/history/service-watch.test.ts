import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import { watchServices } from '../../src/history/service-watch.ts'
import { ALL_SERVICES, type EventListener } from '../../src/swarm/service-events.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { createFakeHistoryStore } from '../support/fake-history-store.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'

const HOUR_MS = 60 * 60 * 1000

function start() {
  const swarm = createFakeSwarm()
  const store = createFakeHistoryStore()
  const stop = new AbortController()
  const listeners: EventListener[] = []
  const removed: string[] = []
  const events = {
    listen(serviceId: string, listener: EventListener): () => void {
      expect(serviceId).toBe(ALL_SERVICES)
      listeners.push(listener)
      return () => void listeners.pop()
    },
  }
  const onRemoved = (serviceId: string): void => void removed.push(serviceId)
  const watch = watchServices({ swarm, store, events, onRemoved, signal: stop.signal })
  const changed = (serviceId: string, event: Partial<ServiceEvent> = {}): void =>
    listeners[0]?.changed({ serviceId, action: 'update', timeMs: 0, ...event })
  return { swarm, store, stop, watch, listeners, removed, changed }
}

/** The watch after its look at the start. */
async function started() {
  const subject = start()
  await vi.advanceTimersByTimeAsync(1000)
  const { length } = subject.swarm.calls
  return { ...subject, calls: () => subject.swarm.calls.slice(length) }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('the services that allow updates, and the histories, are listed at the start and once an hour', async () => {
  const { swarm, store } = start()
  await vi.advanceTimersByTimeAsync(1000)
  expect(swarm.calls).toEqual(['list deployer.allowUpdates=true'])
  expect(store.calls).toEqual(['list deployer.format=1'])
  await vi.advanceTimersByTimeAsync(HOUR_MS + 1000)
  expect([swarm.calls.length, store.calls.length]).toEqual([2, 2])
})

test('after a gap in the events, the services are listed once, and no histories', async () => {
  const { listeners, store, calls } = await started()
  listeners[0]?.missed()
  listeners[0]?.missed()
  await vi.advanceTimersByTimeAsync(5000)
  expect(calls()).toEqual(['list deployer.allowUpdates=true'])
  expect(store.calls).toHaveLength(1)
})

test('a check that failed is repeated when the events are back', async () => {
  const { swarm, store, listeners } = start()
  swarm.failure = new DeployerError('engine-unreachable', 'Cannot reach the engine')
  await vi.advanceTimersByTimeAsync(1000)
  swarm.failure = undefined
  listeners[0]?.missed()
  await vi.advanceTimersByTimeAsync(1000)
  expect(store.calls).toHaveLength(1)
})

test('a service is read once after a burst of writes', async () => {
  const { swarm, changed, calls } = await started()
  const { ID } = swarm.addService('blog')
  changed(ID)
  changed(ID, { image: 'b', updateState: 'updating' })
  await vi.advanceTimersByTimeAsync(5000)
  expect(calls()).toEqual([`inspect ${ID}`])
  changed(ID)
  await vi.advanceTimersByTimeAsync(1000)
  expect(calls()).toHaveLength(2)
})

test('the progress of an update, and a new service, are no reason to read a service', async () => {
  const { changed, calls } = await started()
  changed('x', { updateState: 'completed' })
  changed('x', { action: 'create' })
  await vi.advanceTimersByTimeAsync(5000)
  expect(calls()).toEqual([])
})

test('an own write is no reason either, but another write beside it is', async () => {
  const { watch, changed, calls } = await started()
  changed('x')
  watch.written('x')
  await vi.advanceTimersByTimeAsync(1000)
  expect(calls()).toEqual([])
  watch.written('x')
  changed('x')
  changed('x')
  await vi.advanceTimersByTimeAsync(1000)
  expect(calls()).toEqual(['inspect x'])
})

test('a service that is removed is reported at once', async () => {
  const { removed, changed, calls } = await started()
  changed('x', { action: 'remove' })
  expect([removed, calls()]).toEqual([['x'], []])
})

test('nothing is read after the end', async () => {
  const { stop, listeners, changed, calls } = await started()
  changed('x')
  stop.abort()
  await vi.advanceTimersByTimeAsync(2 * HOUR_MS)
  expect([listeners, calls()]).toEqual([[], []])
})
