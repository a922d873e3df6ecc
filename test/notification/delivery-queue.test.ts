import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DeliveryError } from '../../src/notification/delivery-error.ts'
import { createDeliveryQueue } from '../../src/notification/delivery-queue.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import type { DeliveryLimits, Message } from '../../src/notification/waiting-messages.ts'
import { exampleEvent } from '../support/example-event.ts'
import {
  type Answer,
  type Answerer,
  createFakeDestination,
  finalRefusal,
  refusal,
} from '../support/fake-destination.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

const HOUR_MS = 3_600_000

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

/** A queue, its destination, and recorders. */
function setUp(answer: Answerer = () => 'take', limits: DeliveryLimits = {}) {
  const destination = createFakeDestination({ answer })
  const logger = createRecordingLogger()
  const settled: string[] = []
  const queue = createDeliveryQueue(
    destination,
    { logger, settled: ({ key }) => settled.push(key) },
    limits,
  )
  /** Queues messages named by service and number, such as `blog-1`. */
  function add(...ids: readonly string[]): void {
    for (const id of ids) {
      queue.add(message(id))
    }
  }
  return { queue, destination, logger, settled, add }
}

function message(id: string, differs: Partial<DeploymentEvent> = {}): Message {
  const [service = ''] = id.split('-')
  return {
    key: id,
    event: exampleEvent({ id, service, serviceId: `id-of-${service}`, ...differs }),
  }
}

/** Runs everything that needs no time. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0)
}

/** The result of an attempt, which the test sets later. */
function held(): { readonly answer: Promise<Answer>; give(answer: Answer): void } {
  let give: (answer: Answer) => void = () => {}
  const answer = new Promise<Answer>((resolve) => {
    give = resolve
  })
  return { answer, give: (given) => give(given) }
}

describe('the delivery queue: order', () => {
  test('delivers at once, and calls settled for each message', async () => {
    const { queue, destination, settled, logger, add } = setUp()
    add('blog-1', 'blog-2')
    expect(settled).toEqual([])
    await settle()
    expect(destination.taken).toEqual(['blog-1', 'blog-2'])
    expect(settled).toEqual(['blog-1', 'blog-2'])
    expect(logger.lines).toEqual([])
    expect(queue.counts()).toEqual({
      destination: 'chat',
      ...{ waiting: 0, delivered: 2, retried: 0, dropped: 0 },
    })
  })

  test('keeps the order of a service while the first message fails', async () => {
    const { destination, add } = setUp((_, tries) => (tries < 4 ? refusal() : 'take'))
    add('blog-1', 'blog-2')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(destination.tried).toEqual([
      ...Array.from({ length: 4 }, () => 'blog-1'),
      ...Array.from({ length: 4 }, () => 'blog-2'),
    ])
    expect(destination.hasOverlapped).toBe(false)
  })

  test('keeps events with and without a service ID in one order', async () => {
    const first = held()
    const { queue, destination } = setUp((_, tries) =>
      destination.tried.length === 1 && tries === 1 ? first.answer : 'take',
    )
    queue.add(message('blog-1'))
    queue.add(message('blog-2', { serviceId: '' }))
    await settle()
    expect(destination.tried).toEqual(['blog-1'])
    first.give('take')
    await settle()
    expect(destination.taken).toEqual(['blog-1', 'blog-2'])
  })

  test('delivers for up to 8 services at the same time', async () => {
    const answers = new Map<string, (answer: Answer) => void>()
    const { destination, add } = setUp(({ id }) => {
      const one = held()
      answers.set(id, one.give)
      return one.answer
    })
    add(...Array.from({ length: 12 }, (_, index) => `s${index}-1`), 's3-2')
    await settle()
    expect(destination.inProgress).toBe(8)
    answers.get('s3-1')?.('take')
    await settle()
    expect(destination.tried.at(-1)).toBe('s8-1')
    for (const other of ['s0-1', 's1-1', 's2-1']) {
      answers.get(other)?.('take')
    }
    await settle()
    expect(destination.tried.slice(-3)).toEqual(['s9-1', 's10-1', 's11-1'])
    answers.get('s4-1')?.('take')
    await settle()
    expect(destination.tried.at(-1)).toBe('s3-2')
    expect(destination.mostAtOnce).toBe(8)
  })

  test('a service that fails does not delay another one', async () => {
    const { destination, add } = setUp(({ service }) => (service === 'shop' ? refusal() : 'take'))
    add('shop-1', 'blog-1', 'shop-2', 'blog-2')
    await settle()
    expect(destination.taken).toEqual(['blog-1', 'blog-2'])
  })
})

describe('the delivery queue: retries', () => {
  test('waits longer after each failure, up to 30 s', async () => {
    const { destination, add } = setUp(() => refusal())
    add('blog-1')
    await vi.advanceTimersByTimeAsync(HOUR_MS)
    const waits = destination.triedAtMs
      .slice(1)
      .map((at, i) => at - (destination.triedAtMs[i] ?? 0))
    expect(waits[0]).toBeLessThanOrEqual(500)
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000)
    expect(Math.min(...waits.slice(6))).toBeGreaterThanOrEqual(15_000)
    expect(waits.length).toBeGreaterThan(119)
  })

  test('starts with a short wait for the next message', async () => {
    const { destination, add } = setUp(({ id }, tries) =>
      id === 'blog-1' && tries > 7 ? 'take' : refusal(),
    )
    add('blog-1', 'blog-2')
    await vi.advanceTimersByTimeAsync(120_000)
    const first = destination.tried.indexOf('blog-2')
    const [a = 0, b = 0] = destination.triedAtMs.slice(first)
    expect(b - a).toBeLessThanOrEqual(500)
  })

  test('retries all services at once when an unreachable destination is reachable again', async () => {
    let isAway = true
    const { destination, add } = setUp(() => (isAway ? refusal() : 'take'))
    add('a-1', 'b-1', 'c-1')
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    isAway = false
    add('d-1')
    await settle()
    expect([...destination.taken].sort()).toEqual(['a-1', 'b-1', 'c-1', 'd-1'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('retries once, not twice, after a failure at the same time as a success of another service', async () => {
    const { destination, add } = setUp(({ service }, tries) =>
      service === 'c' ? 'take' : tries === 1 ? refusal() : 'hang',
    )
    add('b-1', 'c-1')
    await settle()
    expect(destination.tried).toEqual(['b-1', 'c-1', 'b-1'])
    expect(destination.hasOverlapped).toBe(false)
  })

  test('keeps the wait of a message that fails while others succeed', async () => {
    const { destination, add } = setUp(({ service }) => (service === 'poison' ? refusal() : 'take'))
    add('poison-1')
    for (let second = 0; second < 600; second += 1) {
      add(`busy-${second}`)
      await vi.advanceTimersByTimeAsync(1000)
    }
    expect(destination.taken.length).toBe(600)
    // Ten minutes at 15 to 30 s, and the short waits at the start.
    expect(destination.triesOf('poison-1')).toBeLessThan(50)
    expect(destination.triesOf('poison-1')).toBeGreaterThan(20)
  })

  test('pauses all services for as long as the destination asks', async () => {
    const { destination, add } = setUp(({ id }, tries) =>
      id === 'a-1' && tries === 1 ? new DeliveryError('429', { retryAfterMs: 120_000 }) : 'take',
    )
    add('a-1')
    await settle()
    add('a-2', 'b-1')
    await vi.advanceTimersByTimeAsync(119_999)
    expect(destination.tried).toEqual(['a-1'])
    add('c-1')
    await vi.advanceTimersByTimeAsync(2)
    expect([...destination.taken].sort()).toEqual(['a-1', 'a-2', 'b-1', 'c-1'])
  })

  test('pauses for the longest time that the destination asks for', async () => {
    const asked: Record<string, number> = { a: 60_000, b: 90_000, c: 1000 }
    const { destination, add } = setUp(({ service }, tries) =>
      tries === 1 ? new DeliveryError('429', { retryAfterMs: asked[service] }) : 'take',
    )
    // All three attempts are running before the first of them ends.
    add('a-1', 'b-1', 'c-1')
    await vi.advanceTimersByTimeAsync(89_999)
    expect(destination.tried.length).toBe(3)
    await vi.advanceTimersByTimeAsync(2)
    expect(destination.taken.length).toBe(3)
  })

  test.each([
    [Number.NaN, 1000],
    [-5, 1000],
    [0, 1000],
    [2 ** 40, 25 * HOUR_MS],
    [Number.POSITIVE_INFINITY, 25 * HOUR_MS],
  ])('a requested pause of %d ms does not stop the queue', async (retryAfterMs, withinMs) => {
    const { destination, add } = setUp(
      (_, tries) => (tries === 1 ? new DeliveryError('503', { retryAfterMs }) : 'take'),
      { maxAgeMs: 48 * HOUR_MS },
    )
    add('a-1')
    await vi.advanceTimersByTimeAsync(withinMs)
    expect(destination.taken).toEqual(['a-1'])
  })

  test('pauses for at most a day', async () => {
    const { destination, add } = setUp(
      () => new DeliveryError('503', { retryAfterMs: Number.MAX_VALUE }),
      { maxAgeMs: 48 * HOUR_MS },
    )
    add('a-1')
    await vi.advanceTimersByTimeAsync(24 * HOUR_MS - 1)
    expect(destination.tried.length).toBe(1)
    await vi.advanceTimersByTimeAsync(2)
    expect(destination.tried.length).toBe(2)
  })

  test('pauses as long when the clock is set back', async () => {
    const { destination, add } = setUp((_, tries) =>
      tries === 1 ? new DeliveryError('503', { retryAfterMs: 60_000 }) : 'take',
    )
    add('a-1')
    await settle()
    vi.setSystemTime(Date.now() - HOUR_MS)
    await vi.advanceTimersByTimeAsync(60_001)
    expect(destination.taken).toEqual(['a-1'])
  })

  test('retryNow retries all services at once', async () => {
    const { queue, destination, add } = setUp(() => refusal())
    add('a-1', 'b-1')
    await vi.advanceTimersByTimeAsync(60_000)
    destination.answer = () => 'take'
    queue.retryNow()
    await settle()
    expect(destination.taken).toEqual(['a-1', 'b-1'])
  })

  test.each([
    ['a string', 'no'],
    ['undefined', undefined],
    ['an object without a prototype', Object.create(null)],
    ['an error', new TypeError('x')],
  ])('retries after %s was thrown', async (_, thrown) => {
    let tries = 0
    const logger = createRecordingLogger()
    const queue = createDeliveryQueue(
      {
        name: 'odd',
        events: [],
        async deliver() {
          tries += 1
          if (tries === 1) {
            throw thrown
          }
        },
      },
      { logger, settled() {} },
    )
    queue.add(message('blog-1'))
    await vi.advanceTimersByTimeAsync(1000)
    expect(queue.counts()).toMatchObject({ waiting: 0, delivered: 1, retried: 1 })
  })

  test('retries after a deliver function that throws synchronously', async () => {
    let tries = 0
    const queue = createDeliveryQueue(
      {
        name: 'odd',
        events: [],
        deliver() {
          tries += 1
          if (tries === 1) {
            throw new Error('at once')
          }
          return Promise.resolve()
        },
      },
      { logger: createRecordingLogger(), settled() {} },
    )
    queue.add(message('blog-1'))
    await vi.advanceTimersByTimeAsync(1000)
    expect(queue.counts()).toMatchObject({ waiting: 0, delivered: 1 })
  })
})

test('the timer of a retry does not keep the process alive', async () => {
  vi.useRealTimers()
  const { queue, destination, add } = setUp(() => refusal())
  const timers = vi.spyOn(globalThis, 'setTimeout')
  try {
    add('a-1')
    await vi.waitFor(() => expect(queue.counts().retried).toBe(1))
    const made = timers.mock.results.map(({ value }) => value as NodeJS.Timeout)
    expect(made.filter((timer) => timer.hasRef?.() === true)).toEqual([])
    expect(destination.tried).toEqual(['a-1'])
  } finally {
    timers.mockRestore()
    queue.stop()
  }
})

describe('the delivery queue: dropped messages', () => {
  test('a final error drops the message with one log line, and the next one follows', async () => {
    const { queue, destination, logger, settled, add } = setUp(({ id }) =>
      id === 'blog-1' ? finalRefusal('HTTP 400') : 'take',
    )
    add('blog-1', 'blog-2')
    await settle()
    expect(destination.tried).toEqual(['blog-1', 'blog-2'])
    expect(logger.lines).toEqual([
      {
        ...message('blog-1').event,
        destination: 'chat',
        reason: 'HTTP 400',
        level: 'error',
        message: 'message not delivered',
      },
    ])
    expect(settled).toEqual(['blog-1', 'blog-2'])
    expect(queue.counts()).toMatchObject({ waiting: 0, delivered: 1, retried: 0, dropped: 1 })
  })

  test('a message is given up after 24 hours', async () => {
    const { queue, destination, logger, add } = setUp(() => refusal())
    add('blog-1')
    await vi.advanceTimersByTimeAsync(24 * HOUR_MS - 1)
    expect(queue.counts().waiting).toBe(1)
    await vi.advanceTimersByTimeAsync(30_001)
    const tries = destination.tried.length
    expect(logger.lines.filter(({ level }) => level === 'error')).toMatchObject([
      { id: 'blog-1', reason: 'it was not accepted within 24 hours' },
    ])
    await vi.advanceTimersByTimeAsync(HOUR_MS)
    expect(destination.tried.length).toBe(tries)
    expect(vi.getTimerCount()).toBe(0)
  })

  test.each([
    ['ahead', 400 * 24 * HOUR_MS],
    ['back', -400 * 24 * HOUR_MS],
  ])('a clock that jumps %s by 400 days neither drops nor keeps a message', async (_, jumpMs) => {
    const { queue, destination, add } = setUp(() => refusal())
    add('blog-1')
    await vi.advanceTimersByTimeAsync(HOUR_MS)
    vi.setSystemTime(Date.now() + jumpMs)
    const tries = destination.tried.length
    await vi.advanceTimersByTimeAsync(22 * HOUR_MS)
    expect(queue.counts()).toMatchObject({ waiting: 1, dropped: 0 })
    expect(destination.tried.length).toBeGreaterThan(tries + 22 * 60)
    await vi.advanceTimersByTimeAsync(HOUR_MS + 60_000)
    expect(queue.counts()).toMatchObject({ waiting: 0, dropped: 1 })
  })

  test('messages that an earlier process queued a day ago are retried for an hour', async () => {
    const { queue, destination, logger } = setUp(() => refusal())
    for (const id of ['blog-1', 'blog-2', 'shop-1']) {
      queue.add({ ...message(id), queuedAtMs: Date.now() - 30 * HOUR_MS })
    }
    await vi.advanceTimersByTimeAsync(HOUR_MS)
    expect(queue.counts()).toMatchObject({ waiting: 3, dropped: 0 })
    expect(destination.triesOf('shop-1')).toBeGreaterThan(100)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(queue.counts()).toMatchObject({ waiting: 0, dropped: 3 })
    expect(logger.lines.filter(({ level }) => level === 'error').map(({ id }) => id)).toEqual(
      expect.arrayContaining(['blog-1', 'blog-2', 'shop-1']),
    )
  })

  test('no message is dropped without an attempt', async () => {
    const { queue, destination } = setUp((_, tries) =>
      tries === 1 && destination.tried.length <= 8
        ? new DeliveryError('429', { retryAfterMs: 2 * HOUR_MS })
        : 'take',
    )
    for (let service = 0; service < 12; service += 1) {
      queue.add({ ...message(`s${service}-1`), queuedAtMs: Date.now() - 30 * HOUR_MS })
    }
    await vi.advanceTimersByTimeAsync(2 * HOUR_MS + 60_000)
    expect(destination.taken).toEqual(expect.arrayContaining(['s8-1', 's9-1', 's10-1', 's11-1']))
  })

  test('messages that expire one by one do not shorten the wait', async () => {
    const { queue, destination, add } = setUp(() => refusal(), { maxAgeMs: 2 * HOUR_MS })
    for (let second = 0; second < 600; second += 1) {
      add(`blog-${second}`)
      await vi.advanceTimersByTimeAsync(1000)
    }
    await vi.advanceTimersByTimeAsync(2 * HOUR_MS - 601_000)
    expect(queue.counts()).toMatchObject({ waiting: 600, dropped: 0 })
    const tries = destination.tried.length
    await vi.advanceTimersByTimeAsync(631_000)
    expect(queue.counts()).toMatchObject({ waiting: 0, dropped: 600 })
    expect(destination.tried.length - tries).toBeLessThan(50)
  })

  test('above the maximum number the oldest message without a running attempt is dropped', async () => {
    const { queue, destination, logger, settled, add } = setUp(() => 'hang', { maxWaiting: 3 })
    add('a-1', 'a-2', 'b-1', 'c-1', 'd-1')
    await settle()
    expect(destination.tried).toEqual(['a-1', 'b-1', 'c-1'])
    expect(settled).toEqual(['a-2', 'd-1'])
    expect(logger.lines).toMatchObject([
      {
        id: 'a-2',
        message: 'message not delivered',
        reason: 'more than 3 messages wait for this destination; the oldest is dropped',
      },
      { id: 'd-1' },
    ])
    expect(queue.counts()).toMatchObject({ waiting: 3, dropped: 2 })
    expect(queue.stop().map(({ key }) => key)).toEqual(['a-1', 'b-1', 'c-1'])
  })

  test('above the maximum size the oldest message is dropped; a delivery frees its size', async () => {
    const size = JSON.stringify(message('a-1').event).length
    const { queue, destination, settled, logger, add } = setUp(() => refusal(), {
      maxWaitingSize: 2 * size,
    })
    add('a-1', 'b-1')
    await settle()
    add('c-1')
    expect(settled).toEqual(['a-1'])
    expect(logger.lines.at(-1)).toMatchObject({
      reason: `more than ${2 * size} characters wait for this destination; the oldest is dropped`,
    })
    destination.answer = () => 'take'
    await vi.advanceTimersByTimeAsync(1000)
    destination.answer = () => 'hang'
    add('d-1', 'e-1')
    expect(queue.counts()).toMatchObject({ waiting: 2, delivered: 2, dropped: 1 })
  })

  test('dropping the oldest message does not shorten the wait of the next one', async () => {
    const { queue, destination, add } = setUp(() => refusal(), { maxWaiting: 2 })
    for (let second = 0; second < 300; second += 1) {
      add(`blog-${second}`)
      await vi.advanceTimersByTimeAsync(1000)
    }
    expect(destination.tried.length).toBeLessThan(35)
    expect(queue.counts()).toMatchObject({ waiting: 2, dropped: 298 })
  })

  test('the last message of a service that is dropped leaves no timer behind', async () => {
    const { destination, add } = setUp(() => refusal(), { maxWaiting: 1 })
    add('a-1')
    await settle()
    destination.answer = () => 'hang'
    add('b-1')
    await settle()
    expect(vi.getTimerCount()).toBe(0)
    expect(destination.tried).toEqual(['a-1', 'b-1'])
  })

  test('a service whose messages are all dropped starts again without a wait', async () => {
    const { destination, add } = setUp(() => refusal(), { maxWaiting: 1 })
    add('a-1')
    await vi.advanceTimersByTimeAsync(60_000)
    add('b-1')
    await settle()
    destination.answer = () => 'take'
    add('a-2')
    await settle()
    expect(destination.taken).toEqual(['a-2'])
  })

  test('giving up a delivered message changes nothing', async () => {
    const { queue, logger, add } = setUp()
    const one = message('blog-1')
    queue.add(one)
    await settle()
    destinationHangs()
    queue.giveUp(one, 'late')
    expect(queue.counts()).toMatchObject({ waiting: 1, delivered: 1, dropped: 0 })
    expect(logger.lines).toEqual([])

    function destinationHangs(): void {
      add('blog-2')
    }
  })

  test('the members of an event do not replace those of a log line', async () => {
    const { queue, logger } = setUp(() => finalRefusal())
    const differs = { destination: 'other', reason: 'none' } as Partial<DeploymentEvent>
    queue.add(message('blog-1', differs))
    await settle()
    expect(logger.lines).toMatchObject([{ destination: 'chat', reason: 'never' }])
  })
})

describe('the delivery queue: log', () => {
  test('one line when the destination starts to fail, one when it works again', async () => {
    const { logger, destination, add } = setUp(() => refusal('ECONNREFUSED'))
    add('a-1', 'b-1', 'b-2')
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    destination.answer = () => 'take'
    await vi.advanceTimersByTimeAsync(60_000)
    expect(logger.lines).toEqual([
      {
        ...{ destination: 'chat', reason: 'ECONNREFUSED', waiting: 3 },
        ...{ level: 'warn', message: 'messages are not delivered for now' },
      },
      {
        ...{ destination: 'chat', waiting: expect.any(Number) },
        ...{ level: 'info', message: 'messages are delivered again' },
      },
    ])
    destination.answer = () => refusal()
    add('a-2')
    await settle()
    expect(logger.lines.length).toBe(3)
  })

  test('one line for a message that fails while those of another service succeed', async () => {
    const { logger, destination, add } = setUp(async ({ service }) => {
      await new Promise((resolve) => setTimeout(resolve, service === 'poison' ? 2000 : 100))
      return service === 'poison' ? refusal() : 'take'
    })
    add('poison-1')
    for (let turn = 0; turn < 1000; turn += 1) {
      add(`busy-${turn}`)
      await vi.advanceTimersByTimeAsync(300)
    }
    expect(logger.lines.map(({ level }) => level)).toEqual(['warn'])
    destination.answer = () => 'take'
    await vi.advanceTimersByTimeAsync(60_000)
    expect(logger.lines.map(({ level }) => level)).toEqual(['warn', 'info'])
  })

  test('one line when the destination works again after the failed message was dropped', async () => {
    const { logger, add } = setUp(({ id }, tries) =>
      id !== 'a-1' ? 'take' : tries === 1 ? refusal() : finalRefusal(),
    )
    add('a-1')
    await vi.advanceTimersByTimeAsync(1000)
    expect(logger.lines.map(({ level }) => level)).toEqual(['warn', 'error'])
    add('b-1')
    await settle()
    expect(logger.lines.map(({ level }) => level)).toEqual(['warn', 'error', 'info'])
  })
})

describe('the delivery queue: stop', () => {
  test('ends attempts, timers and connections, and returns the waiting messages in order', async () => {
    const { queue, destination, logger, add } = setUp(({ service }) =>
      service === 'a' ? 'hang' : service === 'b' ? refusal() : 'take',
    )
    add('c-1', 'a-1', 'a-2')
    await settle()
    add('b-1')
    await settle()
    const lines = logger.lines.length
    expect(queue.stop().map(({ key }) => key)).toEqual(['a-1', 'a-2', 'b-1'])
    expect(vi.getTimerCount()).toBe(0)
    expect(destination.closed).toBe(1)
    await vi.advanceTimersByTimeAsync(HOUR_MS)
    expect(destination.inProgress).toBe(0)
    expect(destination.tried).toEqual(['c-1', 'a-1', 'b-1'])
    expect(logger.lines.length).toBe(lines)
    expect(queue.counts()).toMatchObject({ waiting: 3, delivered: 1, retried: 1 })
  })

  test('leaves no timer of a pause behind', async () => {
    const { queue, add } = setUp(() => new DeliveryError('429', { retryAfterMs: HOUR_MS }))
    add('a-1')
    await settle()
    queue.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a message that is accepted after the stop counts as delivered', async () => {
    const one = held()
    const { queue, settled, add } = setUp(() => one.answer)
    add('a-1')
    await settle()
    queue.stop()
    one.give('take')
    await settle()
    expect(settled).toEqual(['a-1'])
    expect(queue.counts()).toMatchObject({ waiting: 0, delivered: 1 })
  })

  test('a message that is accepted after it was given up counts once', async () => {
    const one = held()
    const { queue, settled, add } = setUp(() => one.answer)
    add('a-1', 'a-2')
    await settle()
    const [first] = queue.stop()
    queue.giveUp(first ?? message('none'), 'ends')
    one.give('take')
    await settle()
    expect(settled).toEqual([])
    expect(queue.counts()).toMatchObject({ waiting: 1, delivered: 0, dropped: 1 })
  })

  test('a message that is added after the stop is counted, not delivered, and drops nothing', async () => {
    const { queue, destination, settled, add } = setUp(() => 'hang', { maxWaiting: 1 })
    add('a-1')
    queue.stop()
    add('b-1', 'c-1')
    await settle()
    expect(destination.tried).toEqual(['a-1'])
    expect(settled).toEqual([])
    expect(queue.counts()).toMatchObject({ waiting: 3, dropped: 0 })
  })

  test('is idle once no attempt is running, though a message waits for its next one', async () => {
    const one = held()
    const { queue, add } = setUp(() => one.answer)
    await queue.idle()
    add('a-1')
    let isIdle = false
    const idle = queue.idle().then(() => {
      isIdle = true
    })
    await settle()
    expect(isIdle).toBe(false)
    one.give(refusal())
    await idle
    expect(queue.counts()).toMatchObject({ waiting: 1, retried: 1 })
  })

  test('drained resolves at once without messages, otherwise with the last one', async () => {
    const one = held()
    const { queue, add } = setUp(() => one.answer)
    await queue.drained()
    add('a-1')
    const events: string[] = []
    const drained = queue.drained().then(() => events.push('drained'))
    await settle()
    expect(events).toEqual([])
    one.give(finalRefusal())
    await drained
  })
})

test('waiting, delivered and dropped messages add up after any sequence of steps', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('add'), service: fc.nat({ max: 11 }) }) },
    fc.record({ kind: fc.constant('wait'), ms: fc.nat({ max: 40_000 }) }),
    fc.record({ kind: fc.constant('retry') }),
    fc.record({ kind: fc.constant('stop') }),
  )
  const answers = fc.array(
    fc.constantFrom<Answer>(
      'take',
      'take',
      refusal(),
      refusal(),
      finalRefusal(),
      new DeliveryError('429', { retryAfterMs: 50_000 }),
    ),
    { minLength: 1 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      answers,
      fc.nat({ max: 3000 }),
      async (steps, script, lasts) => {
        let asked = 0
        const { queue, destination, settled } = setUp(
          async () => {
            asked += 1
            await new Promise((resolve) => setTimeout(resolve, (asked * lasts) % 4000))
            return script[asked % script.length] ?? 'take'
          },
          { maxWaiting: 9, maxAgeMs: 60_000 },
        )
        let queued = 0
        let stopped = false
        const check = (): void => {
          const { waiting, delivered, dropped } = queue.counts()
          expect(waiting + delivered + dropped).toBe(queued)
          expect(settled.length).toBe(delivered + dropped)
          expect(delivered).toBe(new Set(destination.taken).size)
          expect(destination.taken.length).toBe(delivered)
          expect(waiting <= 9 || stopped).toBe(true)
        }
        for (const [index, one] of steps.entries()) {
          if (one.kind === 'add' && 'service' in one) {
            queued += 1
            queue.add(message(`s${one.service}-${index}`))
          } else if (one.kind === 'retry') {
            queue.retryNow()
          } else if (one.kind === 'stop' && index > 30) {
            stopped = true
            queue.stop()
          }
          check()
          await vi.advanceTimersByTimeAsync('ms' in one ? one.ms : 0)
          check()
        }
        expect(destination.hasOverlapped).toBe(false)
        expect(destination.mostAtOnce).toBeLessThanOrEqual(8)
        if (!stopped) {
          destination.answer = () => 'take'
          await vi.advanceTimersByTimeAsync(200_000)
          check()
          expect(queue.counts().waiting).toBe(0)
          queue.stop()
        }
        await vi.advanceTimersByTimeAsync(5000)
        expect(vi.getTimerCount()).toBe(0)
      },
    ),
    { numRuns: 200 },
  )
})
