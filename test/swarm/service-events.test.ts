import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp() {
  const swarm = createFakeSwarm()
  const stop = new AbortController()
  const logger = createRecordingLogger()
  const events = createServiceEvents(swarm, { signal: stop.signal, logger })
  const reported: (string | ServiceEvent)[] = []
  const listener = {
    missed: (): void => void reported.push('missed'),
    changed: (event: ServiceEvent): void => void reported.push(event),
  }
  const { ID } = swarm.addService('blog')
  const touch = (): void => swarm.change('blog', (spec) => spec)
  return { swarm, stop, logger, events, reported, listener, ID, touch }
}

describe('the event stream', () => {
  test('is opened for the first listener, shared, and closed ten seconds after the last one', async () => {
    const { swarm, events, listener, ID } = setUp()
    expect(swarm.streams).toBe(0)
    const one = events.listen(ID, listener)
    const other = events.listen('other', listener)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(swarm.streams).toBe(1)
    one()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(swarm.streams).toBe(1)
    other()
    await vi.advanceTimersByTimeAsync(9_999)
    expect(swarm.streams).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(swarm.streams).toBe(0)
    expect(swarm.calls.filter((call) => call === 'watch')).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('stays open for a listener within ten seconds, and is opened again for a later one', async () => {
    const { swarm, events, listener, ID } = setUp()
    events.listen(ID, listener)()
    await vi.advanceTimersByTimeAsync(9_000)
    const end = events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(swarm.calls.filter((call) => call === 'watch')).toHaveLength(1)
    end()
    await vi.advanceTimersByTimeAsync(10_000)
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(0)
    expect([swarm.streams, swarm.calls.filter((call) => call === 'watch').length]).toEqual([1, 2])
  })

  test('is closed again when it was prepared and has no listener', async () => {
    const { swarm, events } = setUp()
    events.prepare()
    await vi.advanceTimersByTimeAsync(9_000)
    events.prepare()
    await vi.advanceTimersByTimeAsync(9_000)
    expect(swarm.streams).toBe(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(swarm.streams).toBe(0)
  })

  test('is not closed when it was prepared and has a listener', async () => {
    const { swarm, events, listener, ID } = setUp()
    events.prepare()
    events.listen(ID, listener)
    events.prepare()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(swarm.streams).toBe(1)
  })

  test('reports to each listener the events of its own service, until the listener ends', async () => {
    const { events, reported, listener, ID, touch } = setUp()
    const end = events.listen(ID, listener)
    events.listen('other', { missed() {}, changed: () => expect.unreachable() })
    await vi.advanceTimersByTimeAsync(0)
    touch()
    await vi.advanceTimersByTimeAsync(0)
    expect(reported).toMatchObject(['missed', { serviceId: ID, action: 'update' }])
    end()
    end()
    touch()
    await vi.advanceTimersByTimeAsync(0)
    expect(reported).toHaveLength(2)
  })

  test('reports to all listeners of a service, and one that ends does not end another', async () => {
    const { events, reported, listener, ID, touch } = setUp()
    const end = events.listen(ID, { missed() {}, changed: () => end() })
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(0)
    touch()
    touch()
    await vi.advanceTimersByTimeAsync(0)
    expect(reported).toHaveLength(3)
  })

  test('is opened again when it breaks, from a second before the last event, and notifies all listeners', async () => {
    const { swarm, events, reported, listener, ID, touch } = setUp()
    const sinces: (number | undefined)[] = []
    const { watchServices } = swarm
    swarm.watchServices = (one, options) => {
      sinces.push(options.sinceMs)
      return watchServices(one, options)
    }
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(0)
    touch()
    await vi.advanceTimersByTimeAsync(0)
    const at = Date.now()
    await vi.advanceTimersByTimeAsync(30_000)
    swarm.breakStreams(new Error('broken'))
    await vi.advanceTimersByTimeAsync(99)
    expect(swarm.streams).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect([swarm.streams, sinces]).toEqual([1, [undefined, at - 1000]])
    expect(reported.filter((one) => one === 'missed')).toHaveLength(2)
  })

  test('is opened again from the time at which it broke when there was no event', async () => {
    const { swarm, events, listener, ID } = setUp()
    const sinces: (number | undefined)[] = []
    const { watchServices } = swarm
    swarm.watchServices = (one, options) => {
      sinces.push(options.sinceMs)
      return watchServices(one, options)
    }
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(5000)
    const brokeAt = Date.now()
    swarm.breakStreams()
    await vi.advanceTimersByTimeAsync(100)
    expect(sinces).toEqual([undefined, brokeAt - 1000])
  })

  test('is retried less and less often while the engine is unreachable, at least every five seconds', async () => {
    const { swarm, events, listener, ID } = setUp()
    swarm.failure = new Error('unreachable')
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(60_000)
    const tries = swarm.calls.length
    expect(tries).toBeGreaterThanOrEqual(60 / 5)
    expect(tries).toBeLessThan(25)
    swarm.failure = undefined
    await vi.advanceTimersByTimeAsync(10_000)
    expect(swarm.streams).toBe(1)
    swarm.breakStreams()
    await vi.advanceTimersByTimeAsync(100)
    expect(swarm.streams).toBe(1)
  })

  test('is retried less and less often too when it ends right after it was opened', async () => {
    const { swarm, events, listener, ID } = setUp()
    let tries = 0
    swarm.watchServices = async ({ opened }) => {
      tries += 1
      opened()
    }
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(tries).toBeGreaterThanOrEqual(60 / 5)
    expect(tries).toBeLessThan(25)
  })

  test('is closed for good by the signal', async () => {
    const { swarm, stop, events, listener, ID } = setUp()
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(0)
    stop.abort()
    expect(swarm.streams).toBe(0)
    events.prepare()
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(60_000)
    expect([swarm.streams, swarm.calls]).toEqual([0, ['watch']])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('logs that it was refused once, and once that it works again', async () => {
    const { swarm, events, logger, listener, ID } = setUp()
    swarm.failure = new Error('403 Forbidden')
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(60_000)
    const broken = { level: 'warn', message: 'event stream broken', reason: '403 Forbidden' }
    expect([logger.lines, events.isOpen()]).toEqual([[broken], false])
    swarm.failure = undefined
    await vi.advanceTimersByTimeAsync(20_000)
    const restored = { level: 'info', message: 'event stream restored' }
    expect([logger.lines, events.isOpen()]).toEqual([[broken, restored], true])
    swarm.breakStreams()
    await vi.advanceTimersByTimeAsync(20_000)
    const ended = { ...broken, reason: 'the stream ended' }
    expect(logger.lines).toEqual([broken, restored, ended, restored])
  })

  test('that ends again and again right after it was opened is logged once', async () => {
    const { swarm, events, logger, listener, ID } = setUp()
    swarm.watchServices = async ({ opened }) => opened()
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(logger.lines.map(({ message }) => message)).toEqual(['event stream broken'])
  })

  test('that throws instead of rejecting is opened again, even while the clock throws too', async () => {
    const { swarm, events, listener, ID } = setUp()
    const { watchServices, now } = swarm
    const fail = (): never => {
      throw new Error('a bug')
    }
    Object.assign(swarm, { watchServices: fail, now: fail })
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(10_000)
    Object.assign(swarm, { watchServices, now })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(swarm.streams).toBe(1)
  })

  test('whose request the runtime has ended is opened again by a later request', async () => {
    const { swarm, events, listener, ID } = setUp()
    events.listen(ID, listener)
    await vi.advanceTimersByTimeAsync(1000)
    await events.ensureRunning()
    expect(swarm.streams).toBe(1)
    vi.clearAllTimers()
    // That has set the clock back to the start as well.
    await vi.advanceTimersByTimeAsync(5000)
    const ensured = events.ensureRunning()
    await vi.advanceTimersByTimeAsync(50)
    await ensured
    await vi.advanceTimersByTimeAsync(0)
    expect(swarm.streams).toBe(2)
    expect(events.isOpen()).toBe(true)
  })
})
