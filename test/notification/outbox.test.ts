import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import { createOutbox, type OutboxOptions } from '../../src/notification/outbox.ts'
import type { SpooledRecord } from '../../src/notification/spool.ts'
import { exampleEvent } from '../support/example-event.ts'
import {
  type Answer,
  createFakeDestination,
  type FakeDestination,
  finalRefusal,
  refusal,
} from '../support/fake-destination.ts'
import { createFakeSpool, type FakeSpool } from '../support/fake-spool.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

const HOUR_MS = 3_600_000

function setUp(options: Partial<OutboxOptions> & { readonly destination?: FakeDestination } = {}) {
  const { destination = createFakeDestination(), ...rest } = options
  const logger = createRecordingLogger()
  const outbox = createOutbox({ destinations: [destination], logger, ...rest })
  return { outbox, destination, logger }
}

/** An event named by service and number, such as `blog-1`. */
function event(id: string, differs: Partial<DeploymentEvent> = {}): DeploymentEvent {
  const [service = ''] = id.split('-')
  return exampleEvent({ id, service, serviceId: `id-of-${service}`, ...differs })
}

async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0)
}

function held<T>(): { readonly promise: Promise<T>; give(value: T): void } {
  let give: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    give = resolve
  })
  return { promise, give: (value) => give(value) }
}

/** Records whether a promise is settled. */
function watch(promise: unknown): { isDone: boolean } {
  const watched = { isDone: false }
  void Promise.resolve(promise).then(() => {
    watched.isDone = true
  })
  return watched
}

describe('the outbox', () => {
  test('delivers an event to the destinations that want it', async () => {
    const chat = createFakeDestination({ name: 'chat', events: ['accepted'] })
    const forge = createFakeDestination({ name: 'forge', events: ['accepted', 'converged'] })
    const { outbox } = setUp({ destinations: [chat, forge] })
    await outbox.notify(event('blog-1'))
    await outbox.notify(event('blog-2', { event: 'converged' }))
    await outbox.notify(event('blog-3', { event: 'refused' }))
    await settle()
    expect(chat.taken).toEqual(['blog-1'])
    expect(forge.taken).toEqual(['blog-1', 'blog-2'])
    expect(outbox.counts()).toMatchObject([
      { destination: 'chat', delivered: 1 },
      { destination: 'forge', delivered: 2 },
    ])
  })

  test('rejects an unknown option, and names the closest one', () => {
    const wrong = { maxWait: 1 } as Partial<OutboxOptions>
    expect(() => setUp(wrong)).toThrow(
      '`maxWait`: there is no such option; the closest one is `maxWaiting`',
    )
  })

  test('rejects two destinations with one name', () => {
    const destinations = [createFakeDestination(), createFakeDestination()]
    expect(() => setUp({ destinations })).toThrow(TypeError)
  })

  test('a destination that hangs does not delay another one', async () => {
    const slow = createFakeDestination({ name: 'slow', answer: () => 'hang' })
    const chat = createFakeDestination()
    const { outbox } = setUp({ destinations: [slow, chat] })
    await outbox.notify(event('blog-1'))
    await outbox.notify(event('blog-2'))
    await settle()
    expect(chat.taken).toEqual(['blog-1', 'blog-2'])
  })

  test('resolves once every message is stored, without waiting for its delivery', async () => {
    const spool = createFakeSpool()
    const put = held<void>()
    spool.beforePut = (_, value) =>
      (value as { destination: string }).destination === 'b' ? put.promise : undefined
    const destinations = ['a', 'b'].map((name) =>
      createFakeDestination({ name, answer: () => 'hang' }),
    )
    const { outbox } = setUp({ destinations, spool })
    const notified = watch(outbox.notify(event('blog-1')))
    await settle()
    expect(notified.isDone).toBe(false)
    put.give()
    await settle()
    expect(notified.isDone).toBe(true)
    expect(spool.values().length).toBe(2)
  })

  test.each<[string, Answer]>([
    ['delivered', 'take'],
    ['dropped', finalRefusal()],
  ])('removes a message from the spool after it was %s', async (_, answer) => {
    const spool = createFakeSpool()
    const one = held<Answer>()
    const { outbox } = setUp({
      spool,
      destination: createFakeDestination({ answer: () => one.promise }),
    })
    await outbox.notify(event('blog-1'))
    await settle()
    expect(spool.calls.map((call) => call.split(' ')[0])).toEqual(['put'])
    one.give(answer)
    await settle()
    expect(spool.calls.map((call) => call.split(' ')[0])).toEqual(['put', 'remove'])
    expect(spool.values()).toEqual([])
  })
})

test('a message that is dropped immediately is removed from the spool', async () => {
  const spool = createFakeSpool()
  const destination = createFakeDestination({ answer: () => 'hang' })
  const { outbox } = setUp({ spool, destination, maxWaiting: 1 })
  await outbox.notify(event('a-1'))
  await outbox.notify(event('b-1'))
  await settle()
  expect(spool.values()).toMatchObject([{ event: { id: 'a-1' } }])
})

describe('the outbox after a restart', () => {
  /** A spool with messages that an outbox could not deliver. */
  async function leftBehind(...ids: readonly string[]): Promise<FakeSpool> {
    const spool = createFakeSpool()
    const { outbox } = setUp({
      spool,
      destination: createFakeDestination({ answer: () => 'hang' }),
    })
    for (const id of ids) {
      await outbox.notify(event(id))
    }
    return spool.copy()
  }

  test('delivers the messages of an earlier process first, in order, and continues its keys', async () => {
    const spool = await leftBehind('blog-1', 'blog-2', 'shop-1')
    const left = [...spool.records.keys()].sort()
    const destination = createFakeDestination({ answer: () => 'hang' })
    const { outbox } = setUp({ spool, destination })
    void outbox.notify(event('blog-3'))
    await settle()
    expect(spool.records.size).toBe(4)
    expect([...spool.records.keys()].sort().slice(0, 3)).toEqual(left)
    const next = setUp({ spool: spool.copy() })
    await settle()
    expect(next.destination.taken.filter((id) => id.startsWith('blog'))).toEqual([
      'blog-1',
      'blog-2',
      'blog-3',
    ])
  })

  test.each([
    ['a day later', 25],
    ['when the clock is ahead by 30 years', 30 * 365 * 24],
    ['when the clock was set back by 30 years', -30 * 365 * 24],
  ])('delivers the messages of an earlier process %s', async (_, hours) => {
    const spool = await leftBehind('blog-1', 'shop-1')
    vi.setSystemTime(Date.now() + hours * HOUR_MS)
    const { destination, outbox } = setUp({ spool })
    await settle()
    expect(destination.taken).toEqual(['blog-1', 'shop-1'])
    expect(outbox.counts()).toMatchObject([{ delivered: 2, dropped: 0 }])
  })

  test('a message keeps its age: a day later it is retried for one more hour', async () => {
    const spool = await leftBehind('blog-1')
    vi.setSystemTime(Date.now() + 24 * HOUR_MS)
    const destination = createFakeDestination({ answer: () => refusal() })
    const { outbox, logger } = setUp({ spool, destination })
    await vi.advanceTimersByTimeAsync(HOUR_MS)
    expect(outbox.counts()).toMatchObject([{ waiting: 1, dropped: 0 }])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(outbox.counts()).toMatchObject([{ waiting: 0, dropped: 1 }])
    expect(logger.lines.at(-1)).toMatchObject({ id: 'blog-1', message: 'message not delivered' })
    expect(spool.values()).toEqual([])
  })

  test('messages for an unknown destination stay in the spool, with one warning', async () => {
    const spool = await leftBehind('blog-1', 'blog-2')
    const { destination, logger } = setUp({
      spool,
      destination: createFakeDestination({ name: 'forge' }),
    })
    await settle()
    expect(destination.tried).toEqual([])
    expect(spool.values().length).toBe(2)
    expect(logger.lines).toEqual([
      {
        ...{ destination: 'chat', messages: 2, level: 'warn' },
        message: 'messages wait for a destination that is not set',
      },
    ])
  })

  test.each([
    [null],
    ['text'],
    [7],
    [[]],
    [{}],
    [{ destination: 'chat', queuedAtMs: 1 }],
    [{ destination: 'chat', queuedAtMs: 1, event: null }],
    [{ destination: 'chat', queuedAtMs: '1', event: exampleEvent() }],
    [{ destination: 7, queuedAtMs: 1, event: exampleEvent() }],
  ])('an invalid record such as %j is logged, and the others are delivered', async (value) => {
    const spool = await leftBehind('blog-1')
    spool.records.set('000000000000-x', JSON.stringify(value))
    const { destination, logger } = setUp({ spool })
    await settle()
    expect(destination.taken).toEqual(['blog-1'])
    expect(logger.lines).toMatchObject([
      { key: '000000000000-x', message: 'spooled message cannot be read' },
    ])
  })

  test.each(['99999999999999999999-x', '1e300', 'NaN-x'])(
    'the invalid key %s does not affect new keys',
    async (key) => {
      const spool = createFakeSpool(new Map([[key, '{}']]))
      const { outbox } = setUp({ spool })
      await outbox.notify(event('blog-1'))
      expect(spool.calls[0]).toMatch(/^put 000000000001-[0-9a-f]{8}$/)
    },
  )
})

test('an outbox that waits for its spool lets the process end', () => {
  vi.useRealTimers()
  const timers = vi.spyOn(globalThis, 'setTimeout')
  try {
    const spool = createFakeSpool()
    spool.read = () => new Promise(() => {})
    setUp({ spool })
    const made = timers.mock.results.map(({ value }) => value as NodeJS.Timeout)
    expect(made.map((timer) => timer.hasRef())).toEqual([false])
  } finally {
    timers.mockRestore()
  }
})

describe('close', () => {
  test('ends at once without messages, leaves no timer, and closes destinations once', async () => {
    const { outbox, destination } = setUp({ spool: createFakeSpool() })
    expect(await outbox.close(60_000)).toEqual({ kept: 0, givenUp: 0 })
    expect(await outbox.close(60_000)).toEqual({ kept: 0, givenUp: 0 })
    expect(vi.getTimerCount()).toBe(0)
    expect(destination.closed).toBe(1)
  })

  test('retries failed messages at once', async () => {
    const destination = createFakeDestination({ answer: () => refusal() })
    const { outbox } = setUp({ destination })
    await outbox.notify(event('blog-1'))
    await outbox.notify(event('blog-2'))
    await vi.advanceTimersByTimeAsync(120_000)
    destination.answer = () => 'take'
    expect(await outbox.close(2000)).toEqual({ kept: 0, givenUp: 0 })
    expect(destination.taken).toEqual(['blog-1', 'blog-2'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('without a spool gives up waiting messages at the end of the time, with a log line for each', async () => {
    const destination = createFakeDestination({ answer: () => 'hang' })
    const { outbox, logger } = setUp({ destination })
    await outbox.notify(event('blog-1'))
    await outbox.notify(event('blog-2'))
    const closed = outbox.close(2000)
    await vi.advanceTimersByTimeAsync(1999)
    expect(logger.lines).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(await closed).toEqual({ kept: 0, givenUp: 2 })
    expect(logger.lines).toMatchObject([
      { ...event('blog-1'), destination: 'chat', reason: 'Deployer is shutting down' },
      { ...event('blog-2'), destination: 'chat', reason: 'Deployer is shutting down' },
    ])
    expect(outbox.counts()).toMatchObject([{ waiting: 0, dropped: 2 }])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('leaves stored messages to the next start, and gives up the others', async () => {
    const spool = createFakeSpool()
    const destination = createFakeDestination({ answer: () => refusal() })
    const { outbox, logger } = setUp({ spool, destination })
    await outbox.notify(event('blog-1'))
    await outbox.notify(event('blog-2'))
    spool.isSafe = (key) => key.startsWith('000000000001')
    const closed = outbox.close(2000)
    await vi.advanceTimersByTimeAsync(2000)
    expect(await closed).toEqual({ kept: 1, givenUp: 1 })
    expect(logger.lines.filter(({ level }) => level === 'error')).toMatchObject([{ id: 'blog-2' }])
    expect(spool.calls.some((call) => call.startsWith('remove'))).toBe(false)
  })

  test('delivers an event that was notified immediately before', async () => {
    const { outbox, destination } = setUp()
    void outbox.notify(event('blog-1'))
    expect(await outbox.close(2000)).toEqual({ kept: 0, givenUp: 0 })
    expect(destination.taken).toEqual(['blog-1'])
  })

  test('waits for the messages of an earlier outbox, but not for a spool that hangs', async () => {
    const spool = createFakeSpool()
    spool.read = () => new Promise(() => {})
    const { outbox } = setUp({ spool })
    const closed = outbox.close(2000)
    await vi.advanceTimersByTimeAsync(2000)
    expect(await closed).toEqual({ kept: 0, givenUp: 0 })
  })

  test('delivers events that were notified while an earlier outbox uses the spool', async () => {
    const spool = createFakeSpool()
    spool.read = () => new Promise(() => {})
    const { outbox, destination } = setUp({ spool })
    void outbox.notify(event('blog-1'))
    const closed = outbox.close(2000)
    await vi.advanceTimersByTimeAsync(2000)
    expect(await closed).toEqual({ kept: 0, givenUp: 0 })
    expect([destination.taken, spool.records.size]).toEqual([['blog-1'], 0])
  })

  test('delivers events that are notified while it waits', async () => {
    const one = held<Answer>()
    const slow = createFakeDestination({ name: 'slow', answer: () => one.promise })
    const chat = createFakeDestination({ events: ['converged'] })
    const { outbox } = setUp({ destinations: [slow, chat] })
    await outbox.notify(event('blog-1'))
    const closed = outbox.close(2000)
    await settle()
    const two = held<Answer>()
    chat.answer = () => two.promise
    await outbox.notify(event('blog-2', { event: 'converged' }))
    one.give('take')
    await settle()
    two.give('take')
    expect(await closed).toEqual({ kept: 0, givenUp: 0 })
    expect(chat.taken).toEqual(['blog-2'])
  })

  test('waits until delivered messages are removed from the spool', async () => {
    const spool = createFakeSpool()
    const removal = held<void>()
    spool.remove = () => removal.promise
    const { outbox } = setUp({ spool })
    await outbox.notify(event('blog-1'))
    const closing = outbox.close(2000)
    const closed = watch(closing)
    await settle()
    expect(closed.isDone).toBe(false)
    removal.give()
    await closing
  })

  test('an event that is notified afterwards is stored, or given up and logged', async () => {
    const spool = createFakeSpool()
    const { outbox, destination, logger } = setUp({ spool })
    await outbox.close(0)
    await outbox.notify(event('blog-1'))
    spool.isGood = false
    await outbox.notify(event('blog-2'))
    expect(destination.tried).toEqual([])
    expect(logger.lines).toMatchObject([{ id: 'blog-2', message: 'message not delivered' }])
    expect(outbox.counts()).toMatchObject([{ waiting: 1, dropped: 1 }])
    const next = setUp({ spool: spool.copy() })
    await settle()
    expect(next.destination.taken).toContain('blog-1')
  })
})

test('every event is delivered at least once and in order, after any sequence of restarts', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('notify'), n: fc.nat({ max: 3 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait'), n: fc.nat({ max: 20_000 }) }) },
    fc.record({ kind: fc.constantFrom('kill', 'close'), n: fc.nat({ max: 3000 }) }),
    fc.record({ kind: fc.constant('jump'), n: fc.integer({ min: -400, max: 400 }) }),
  )
  const answers = fc.array(fc.constantFrom<Answer>('take', 'take', refusal()), { minLength: 1 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      answers,
      fc.nat({ max: 3000 }),
      async (steps, script, lasts) => {
        const taken: string[] = []
        const notified: string[] = []
        let asked = 0
        let spool = createFakeSpool()
        const start = (isWell = false) =>
          setUp({
            spool,
            destination: createFakeDestination({
              async answer({ id }) {
                asked += 1
                const answer = script[asked % script.length] ?? 'take'
                await new Promise((resolve) => setTimeout(resolve, (asked * lasts) % 4000))
                if (isWell || answer === 'take') {
                  taken.push(id)
                  return 'take'
                }
                return answer
              },
            }),
          })
        let running = start()
        for (const [index, { kind, n }] of steps.entries()) {
          if (kind === 'notify') {
            notified.push(`s${n}-${index}`)
            await running.outbox.notify(event(`s${n}-${index}`))
          } else if (kind === 'wait') {
            await vi.advanceTimersByTimeAsync(n)
          } else if (kind === 'jump') {
            vi.setSystemTime(Math.max(0, Date.now() + n * 24 * HOUR_MS))
          } else {
            const closed = running.outbox.close(kind === 'kill' ? 0 : n)
            if (kind === 'kill') {
              // The next process does not see what happens from here on.
              spool = spool.copy()
            }
            await vi.advanceTimersByTimeAsync(n + 4000)
            expect((await closed).givenUp).toBe(0)
            running = start()
          }
          expect(running.destination.hasOverlapped).toBe(false)
        }
        const last = running.outbox.close(0)
        await vi.advanceTimersByTimeAsync(5000)
        await last
        running = start(true)
        await vi.advanceTimersByTimeAsync(300_000)
        const firsts = [...new Set(taken)]
        for (const service of ['s0', 's1', 's2', 's3']) {
          const own = (id: string): boolean => id.startsWith(`${service}-`)
          expect(firsts.filter(own)).toEqual(notified.filter(own))
        }
        expect(spool.values()).toEqual([])
        expect(vi.getTimerCount()).toBe(0)
      },
    ),
    { numRuns: 150 },
  )
})

describe('an outbox that shares its spool with other processes', () => {
  test('delays new messages until those of an earlier one are read, for at most a minute', async () => {
    const spool = createFakeSpool()
    const earlier = held<readonly SpooledRecord[]>()
    spool.read = () => earlier.promise
    const { outbox, destination } = setUp({ spool })
    const notified = watch(outbox.notify(event('blog-2')))
    await vi.advanceTimersByTimeAsync(59_999)
    expect([notified.isDone, destination.taken]).toEqual([false, []])
    await vi.advanceTimersByTimeAsync(1)
    expect([notified.isDone, destination.taken]).toEqual([true, ['blog-2']])
    destination.answer = () => 'hang'
    await outbox.notify(event('blog-3'))
    const value = { destination: 'chat', event: event('shop-1'), queuedAtMs: Date.now() }
    const own = [...spool.records].map(([key, json]) => ({ key, value: JSON.parse(json) }))
    earlier.give([{ key: '000000000009-earlier', value }, ...own])
    await settle()
    expect(destination.tried).toEqual(['blog-2', 'blog-3', 'shop-1'])
  })

  test('delivers messages that another one leaves while it runs', async () => {
    const spool = createFakeSpool()
    const { destination } = setUp({ spool })
    await settle()
    const value = { destination: 'chat', event: event('shop-1'), queuedAtMs: Date.now() }
    spool.leave('000000000009-other', value)
    await settle()
    expect([destination.taken, spool.records.size]).toEqual([['shop-1'], 0])
  })

  test('does not deliver messages that another one has taken over, and logs that', async () => {
    const spool = createFakeSpool()
    const first = held<Answer>()
    const destination = createFakeDestination({ answer: () => first.promise })
    const { outbox, logger } = setUp({ spool, destination })
    await outbox.notify(event('blog-1'))
    await outbox.notify(event('blog-2'))
    await settle()
    for (const key of spool.records.keys()) {
      spool.foreign.add(key)
    }
    first.give('take')
    await settle()
    expect(destination.tried).toEqual(['blog-1'])
    expect(logger.lines).toEqual([
      expect.objectContaining({
        ...{ level: 'error', message: 'message not delivered', id: 'blog-2' },
        reason: 'another process took it over, and delivers it',
      }),
    ])
    // The other process ended before it delivered the message.
    const [[key = '', json = '{}'] = []] = (await leftOf('blog-2')).records
    spool.foreign.clear()
    spool.leave(key, JSON.parse(json))
    await settle()
    expect(destination.taken).toEqual(['blog-1', 'blog-2'])
  })
})

async function leftOf(id: string): Promise<FakeSpool> {
  const spool = createFakeSpool()
  const { outbox } = setUp({ spool, destination: createFakeDestination({ answer: () => 'hang' }) })
  await outbox.notify(event(id))
  return spool.copy()
}
