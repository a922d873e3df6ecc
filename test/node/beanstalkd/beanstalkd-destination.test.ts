// The beanstalkd destination against scripted sockets: responses that a real beanstalkd rarely sends.
// Timers are fake, so that no test depends on the speed of the machine.

import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type BeanstalkdDestinationOptions,
  createBeanstalkdDestination,
} from '../../../src/node/beanstalkd/beanstalkd-destination.ts'
import { DeliveryError } from '../../../src/notification/delivery-error.ts'
import type { Destination } from '../../../src/notification/destination.ts'
import { exampleEvent } from '../../support/example-event.ts'
import { type Loopback, tcpLoopback } from '../../support/loopback.ts'

const EVENT = exampleEvent()
const renderer = { render: () => 'deployed <blög> \r\n' }
const USE = 'use chat\r\n'
const EXCHANGE = `${USE}put 10 0 60 19\r\ndeployed <blög> \r\n\r\n`
const EXCHANGE_BYTES = Buffer.byteLength(EXCHANGE)
const USING = 'USING chat\r\n'
const ANSWERS = `${USING}INSERTED 1\r\n`

/** Answers a command. */
type Script = (line: string, socket: Socket) => string | 'close' | undefined
/** Serves one connection. */
type Serve = (socket: Socket) => void

/** Serves a connection by a script for commands; the data of a job is not a command. */
function scripted(script: Script): Serve {
  return (socket) => {
    socket.on('data', (data) => {
      received += data
      for (const line of data.toString().split('\r\n')) {
        const reply = /^(?:use|put) /.test(line) ? script(line, socket) : undefined
        if (reply === 'close') {
          socket.destroy()
        } else if (reply !== undefined) {
          socket.write(reply)
        }
      }
    })
  }
}

const answerPut =
  (reply: string | undefined): Script =>
  (line) =>
    line.startsWith('use') ? USING : reply
const answerUse =
  (reply: string | undefined): Script =>
  (line) =>
    line.startsWith('use') ? reply : 'INSERTED 1\r\n'
const healthy = answerPut('INSERTED 1\r\n')

let beanstalkd: Loopback
let received = ''
/** How the next connections are served; those after them are healthy. */
let nextConnections: Serve[]
let connections: number

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  received = ''
  nextConnections = []
  connections = 0
  beanstalkd = await tcpLoopback((socket) => {
    connections += 1
    const serve = nextConnections.shift() ?? scripted(healthy)
    serve(socket)
  })
})

afterEach(async () => {
  vi.useRealTimers()
  await beanstalkd.close()
})

function destination(options: Partial<BeanstalkdDestinationOptions> = {}): Destination {
  const addr = `127.0.0.1:${beanstalkd.port}`
  return createBeanstalkdDestination({ addr, tube: 'chat', renderer, timeoutMs: 200, ...options })
}

function deliver(to: Destination, signal = new AbortController().signal): Promise<void> {
  return to.deliver(EVENT, signal)
}

function errorOf(delivery: Promise<void>): Promise<unknown> {
  return delivery.then(
    () => 'delivered',
    (error) => error,
  )
}

/** Waits for a condition. The clock of the timers stands still. */
async function until(isTrue: () => boolean): Promise<void> {
  const endsAt = performance.now() + 30_000
  while (!isTrue() && performance.now() < endsAt) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(isTrue()).toBe(true)
}

/** Waits until no connection is open and no timer is set. */
async function nothingRemains(): Promise<void> {
  await until(() => beanstalkd.openConnections() + vi.getTimerCount() === 0)
}

/** The next message is delivered, and afterwards nothing remains. */
async function recovers(chat: Destination): Promise<void> {
  received = ''
  await deliver(chat)
  expect(received).toBe(EXCHANGE)
  chat.close?.()
  await nothingRemains()
}

test('uses the tube, puts the message with priority, delay and TTR, and disconnects after 1 s', async () => {
  await deliver(destination())
  expect(received).toBe(EXCHANGE)
  vi.advanceTimersByTime(999)
  await new Promise((resolve) => setImmediate(resolve))
  expect(beanstalkd.openConnections()).toBe(1)
  vi.advanceTimersByTime(1)
  await nothingRemains()
})

test('the message is rendered from the event, and the numbers are those of the options', async () => {
  const { deliver } = destination({
    renderer: { render: ({ ServiceName, Event }) => `${ServiceName} ${Event}` },
    ...{ priority: 0, delay: 5, ttr: 4_294_967_295 },
  })
  await deliver(exampleEvent({ event: 'rolled-back' }), new AbortController().signal)
  expect(received).toBe(`${USE}put 0 5 4294967295 16\r\nblog rolled-back\r\n`)
})

test('an empty message is not sent and opens no connection; white space is sent', async () => {
  const texts = ['', ' \n']
  const chat = destination({ renderer: { render: () => texts.shift() ?? 'x' } })
  await deliver(chat)
  expect({ connections, received }).toEqual({ connections: 0, received: '' })
  await deliver(chat)
  expect(received).toBe(`${USE}put 10 0 60 2\r\n \n\r\n`)
})

test('name and events have defaults', () => {
  expect(destination()).toMatchObject({
    name: `beanstalkd:127.0.0.1:${beanstalkd.port}/chat`,
    events: ['accepted'],
  })
  expect(destination({ name: 'chat', events: ['failed', 'refused'] })).toMatchObject({
    name: 'chat',
    events: ['failed', 'refused'],
  })
})

test('messages share a connection while there is work, and "use" is sent once', async () => {
  const chat = destination()
  await Promise.all([deliver(chat), deliver(chat)])
  await deliver(chat)
  expect(received.match(/^use /gm)).toHaveLength(1)
  expect(received.match(/^put /gm)).toHaveLength(3)
  expect(connections).toBe(1)
})

test('concurrent messages get the answers in their order', async () => {
  let puts = 0
  const refusals = ['INSERTED 7\r\n', 'DRAINING\r\n', 'INSERTED 8\r\n']
  nextConnections = [scripted((line) => (line.startsWith('use') ? USING : refusals[puts++]))]
  const chat = destination()
  const outcomes = await Promise.allSettled([deliver(chat), deliver(chat), deliver(chat)])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('after a refusal the next message gets a new connection, and concurrent messages are not lost', async () => {
  let puts = 0
  nextConnections = [
    scripted((line) => {
      puts += line.startsWith('put') ? 1 : 0
      return line.startsWith('use') ? USING : puts === 1 ? 'JOB_TOO_BIG\r\n' : 'INSERTED 1\r\n'
    }),
  ]
  const chat = destination()
  const outcomes = await Promise.allSettled([deliver(chat), deliver(chat), deliver(chat)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  await recovers(chat)
  expect(connections).toBe(2)
})

test('after an unknown answer, the answers that follow it are not used', async () => {
  let puts = 0
  nextConnections = [
    scripted((line) => {
      puts += line.startsWith('put') ? 1 : 0
      return line.startsWith('use') ? USING : puts === 2 ? 'hello\r\nINSERTED 1\r\n' : undefined
    }),
  ]
  const chat = destination()
  const outcomes = await Promise.allSettled([deliver(chat), deliver(chat)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await recovers(chat)
})

test.each([
  ['before the put', [answerUse(ANSWERS)]],
  ['while there is no work', [answerPut('INSERTED 1\r\nINSERTED 2\r\n'), answerPut(undefined)]],
])('an answer that came %s is not used for the next message', async (_, scripts) => {
  nextConnections = scripts.map(scripted)
  const chat = destination()
  if (scripts.length > 1) {
    await deliver(chat)
  }
  let isSettled = false
  const delivery = errorOf(deliver(chat)).finally(() => {
    isSettled = true
  })
  await until(() => isSettled || received.split('put ').length > scripts.length)
  vi.advanceTimersByTime(200)
  expect(await delivery).toBeInstanceOf(DeliveryError)
  await recovers(chat)
})

describe('the error has tube and reason, and no connection or timer remains, when', () => {
  const SILENCE = /no answer within 200 ms$/
  const CLOSED = /closed$|ECONNRESET|EPIPE/
  const cases: readonly (readonly [string, Script, RegExp])[] = [
    ['put is answered DRAINING', answerPut('DRAINING\r\n'), /the answer was "DRAINING"$/],
    ['put is answered OUT_OF_MEMORY', answerPut('OUT_OF_MEMORY\r\n'), /"OUT_OF_MEMORY"$/],
    ['put is answered INTERNAL_ERROR', answerPut('INTERNAL_ERROR\r\n'), /"INTERNAL_ERROR"$/],
    ['put is answered BURIED', answerPut('BURIED 7\r\n'), /"BURIED"$/],
    ['put is answered EXPECTED_CRLF', answerPut('EXPECTED_CRLF\r\n'), /"EXPECTED_CRLF"$/],
    ['put is answered INSERTED without ID', answerPut('INSERTED\r\n'), /"INSERTED"$/],
    ['put is answered INSERTED and a space', answerPut('INSERTED \r\n'), /"INSERTED "$/],
    ['put is answered INSERTED and no ID', answerPut('INSERTED abc\r\n'), /"INSERTED abc"$/],
    ['put is answered INSERTED and half an ID', answerPut('INSERTED 1x\r\n'), /"INSERTED 1x"$/],
    ['put is answered INSERTED and two IDs', answerPut('INSERTED 1 2\r\n'), /"INSERTED 1 2"$/],
    ['put is answered in small letters', answerPut('inserted 1\r\n'), /"inserted"$/],
    ['put is answered with nonsense', answerPut('HTTP/1.1 200 OK\r\n'), /"HTTP\/1.1"$/],
    ['put is answered with an empty line', answerPut('\r\n'), /""$/],
    ['put is answered with YAML that is none', answerPut('OK 3\r\n{:[\r\n'), /"OK"$/],
    ['put is answered with a job', answerPut('RESERVED 1 3\r\nabc\r\n'), /"RESERVED"$/],
    ['put is answered with half a line', answerPut('INSERT'), SILENCE],
    ['put is answered with all but the line feed', answerPut('INSERTED 1\r'), SILENCE],
    ['put is not answered', answerPut(undefined), SILENCE],
    ['put is answered without an end', answerPut('x'.repeat(2000)), /more than an answer$/],
    ['use is refused', answerUse('BAD_FORMAT\r\n'), /"BAD_FORMAT"$/],
    ['use is answered JOB_TOO_BIG', answerUse('JOB_TOO_BIG\r\n'), /"JOB_TOO_BIG"$/],
    ['use is answered with another tube', answerUse('USING default\r\n'), /"USING default"$/],
    ['use is answered with half a line', answerUse('USING ch'), SILENCE],
    ['use is not answered', answerUse(undefined), SILENCE],
    ['the connection closes after use', answerUse('close'), CLOSED],
    ['the connection closes after put', answerPut('close'), CLOSED],
  ]

  test.each(cases)('%s', async (name, script, reason) => {
    nextConnections = [scripted(script)]
    const chat = destination()
    const delivery = errorOf(deliver(chat))
    if (reason === SILENCE) {
      await until(() => received.includes(`${name.slice(0, 3)} `))
      vi.advanceTimersByTime(199)
      await new Promise((resolve) => setImmediate(resolve))
      vi.advanceTimersByTime(1)
    }
    const error = await delivery
    const place = `Cannot put the message on tube "chat" of beanstalkd at 127.0.0.1:${beanstalkd.port}: `
    expect(error).toBeInstanceOf(DeliveryError)
    expect(error).toMatchObject({ isFinal: false, message: expect.stringContaining(place) })
    expect(error).toMatchObject({ message: expect.stringMatching(reason) })
    await nothingRemains()
    await recovers(chat)
  })

  test('the port is not open', async () => {
    const chat = destination()
    await beanstalkd.close()
    await expect(deliver(chat)).rejects.toThrow('ECONNREFUSED')
    await nothingRemains()
  })

  test('the host does not respond', async () => {
    // 192.0.2.0/24 is reserved for documentation (RFC 5737), so no host responds.
    const chat = destination({ addr: '192.0.2.1:11300', timeoutMs: 100 })
    const delivery = errorOf(deliver(chat))
    vi.advanceTimersByTime(100)
    expect(await delivery).toBeInstanceOf(DeliveryError)
    await nothingRemains()
  })
})

test('a job that is too big is a final error', async () => {
  nextConnections = [scripted(answerPut('JOB_TOO_BIG\r\n'))]
  const chat = destination()
  expect(await errorOf(deliver(chat))).toMatchObject({
    name: 'DeliveryError',
    isFinal: true,
    message: expect.stringMatching(/: the answer was "JOB_TOO_BIG"$/),
  })
  await recovers(chat)
})

test('a template that throws is a final error, and nothing is sent', async () => {
  const render = (): string => {
    throw new Error('SECRET')
  }
  const error = await errorOf(deliver(destination({ renderer: { render } })))
  expect(error).toMatchObject({
    isFinal: true,
    message: expect.stringMatching(/: its template fails$/),
  })
  expect(connections).toBe(0)
})

test('a message that times out while connecting does not affect a later one', async () => {
  const greetings: (() => void)[] = []
  nextConnections = [
    scripted((line, socket) => {
      if (line.startsWith('use')) {
        greetings.push(() => socket.write(USING))
        return undefined
      }
      return 'INSERTED 1\r\n'
    }),
  ]
  const chat = destination({ timeoutMs: 400 })
  const early = errorOf(deliver(chat))
  await until(() => greetings.length === 1)
  vi.advanceTimersByTime(200)
  const late = deliver(chat)
  vi.advanceTimersByTime(200)
  expect(String(await early)).toContain('no answer within 400 ms')
  for (const greet of greetings) {
    greet()
  }
  await late
  expect(received.match(/^put /gm)).toHaveLength(1)
  await nothingRemains()
})

describe('answers that come byte by byte', () => {
  /** Sends one byte of each answer whenever `next` is called. */
  function drip(): { readonly serve: Serve; next(): boolean } {
    const bytes: (() => void)[] = []
    const serve: Serve = (socket) => {
      socket.setNoDelay()
      scripted((line) => {
        for (const byte of healthy(line, socket) ?? '') {
          bytes.push(() => socket.write(byte))
        }
        return undefined
      })(socket)
    }
    const next = (): boolean => {
      bytes[0]?.()
      return bytes.shift() !== undefined
    }
    return { serve, next }
  }

  test('are used if they are complete in time', async () => {
    const { serve, next } = drip()
    nextConnections = [serve]
    const chat = destination()
    let isDelivered = false
    const delivery = deliver(chat).then(() => {
      isDelivered = true
    })
    await until(() => {
      next()
      return isDelivered
    })
    await delivery
    const again = deliver(chat)
    await until(() => {
      next()
      return vi.getTimerCount() === 1 && received.split('put ').length === 3
    })
    chat.close?.()
    await again.catch(() => {})
    expect(connections).toBe(1)
    await nothingRemains()
  })

  test('are an error once the time is over, even if each byte comes soon', async () => {
    const { serve, next } = drip()
    nextConnections = [serve]
    const chat = destination({ timeoutMs: 300 })
    const delivery = errorOf(deliver(chat))
    for (let bytes = 0; bytes < 5; bytes += 1) {
      await until(next)
      vi.advanceTimersByTime(60)
    }
    expect(String(await delivery)).toContain('no answer within 300 ms')
    await nothingRemains()
    await recovers(chat)
  })
})

describe('a connection that closes', () => {
  const ways = ['end', 'destroy', 'resetAndDestroy'] as const

  test.each(ways)('after any byte that the client sends (%s) is an error', async (way) => {
    for (let bytes = 0; bytes <= EXCHANGE_BYTES; bytes += 1) {
      nextConnections = [
        (socket) => {
          let got = 0
          const take = (length: number): void => {
            const isUsed = got < USE.length && got + length >= USE.length
            got += length
            if (isUsed && bytes >= USE.length) {
              socket.write(USING)
            }
            if (got >= bytes) {
              socket[way]()
            }
          }
          socket.on('data', (data) => take(data.length))
          take(0)
        },
      ]
      const chat = destination({ timeoutMs: 2000 })
      const error = await errorOf(deliver(chat))
      expect(error, `after ${bytes} bytes`).toBeInstanceOf(DeliveryError)
      expect(String(error), `after ${bytes} bytes`).not.toContain('no answer')
      await recovers(chat)
    }
  })

  test.each(['end', 'destroySoon'] as const)(
    'after any byte that beanstalkd sends (%s) is an error, except after the whole answer',
    async (way) => {
      for (let bytes = 0; bytes <= ANSWERS.length; bytes += 1) {
        nextConnections = [
          (socket) => {
            let got = 0
            let sent = 0
            socket.on('data', (data) => {
              got += data.length
              const upTo = Math.min(bytes, got < EXCHANGE_BYTES ? USING.length : ANSWERS.length)
              socket.write(ANSWERS.slice(sent, upTo))
              sent = upTo
              if (sent === bytes) {
                socket[way]()
              }
            })
          },
        ]
        const chat = destination({ timeoutMs: 2000 })
        const outcome = await errorOf(deliver(chat))
        if (bytes === ANSWERS.length) {
          expect(outcome).toBe('delivered')
          await nothingRemains()
        } else {
          expect(outcome, `after ${bytes} bytes`).toBeInstanceOf(DeliveryError)
          expect(String(outcome), `after ${bytes} bytes`).not.toContain('no answer')
        }
        await recovers(chat)
      }
    },
  )
})

describe('an abort signal', () => {
  test('that is already aborted prevents the delivery', async () => {
    const error = await errorOf(deliver(destination(), AbortSignal.abort()))
    expect(error).toBeInstanceOf(DeliveryError)
    expect(error).toMatchObject({ isFinal: false, message: expect.stringMatching(/cancelled$/) })
    expect(connections).toBe(0)
  })

  test.each([
    ['use', answerUse(undefined)],
    ['put', answerPut(undefined)],
  ])('that aborts while %s is not answered ends the attempt at once', async (command, script) => {
    nextConnections = [scripted(script)]
    const chat = destination({ timeoutMs: 10_000 })
    const controller = new AbortController()
    const delivery = errorOf(deliver(chat, controller.signal))
    await until(() => received.includes(command))
    controller.abort()
    expect(await delivery).toMatchObject({ message: expect.stringMatching(/cancelled$/) })
    await nothingRemains()
    expect(received.includes('put')).toBe(command === 'put')
    await recovers(chat)
  })

  test('that aborts does not end concurrent deliveries', async () => {
    const pending: (() => void)[] = []
    nextConnections = [
      scripted((line, socket) => {
        if (line.startsWith('use')) {
          return USING
        }
        pending.push(() => socket.write('INSERTED 1\r\n'))
        return undefined
      }),
    ]
    const chat = destination({ timeoutMs: 2000 })
    const controller = new AbortController()
    const cancelled = errorOf(deliver(chat, controller.signal))
    const other = deliver(chat)
    await until(() => pending.length === 2)
    controller.abort()
    expect(await cancelled).toBeInstanceOf(DeliveryError)
    for (const answer of pending) {
      answer()
    }
    await other
    await recovers(chat)
    expect(connections).toBe(2)
  })

  test('of many messages has one listener, and none after the last of them', async () => {
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    const chat = destination()
    await Promise.all(Array.from({ length: 20 }, () => deliver(chat, signal)))
    expect(added).toHaveBeenCalledTimes(1)
    expect(removed).toHaveBeenCalledTimes(1)
  })
})

describe('close', () => {
  test('ends a kept connection', async () => {
    const chat = destination()
    await deliver(chat)
    chat.close?.()
    await nothingRemains()
  })

  test('ends deliveries in progress, also on connections after an error', async () => {
    nextConnections = [scripted(answerPut(undefined)), scripted(answerPut(undefined))]
    const chat = destination({ timeoutMs: 10_000 })
    const controller = new AbortController()
    const first = errorOf(deliver(chat, controller.signal))
    const deliveries = [errorOf(deliver(chat))]
    controller.abort()
    await first
    deliveries.push(errorOf(deliver(chat)))
    await until(() => received.split('put ').length === 3)
    expect(beanstalkd.openConnections()).toBe(2)
    chat.close?.()
    for (const delivery of deliveries) {
      expect(await delivery).toMatchObject({ message: expect.stringMatching(/cancelled$/) })
    }
    await recovers(chat)
  })

  test('without a connection does nothing', () => {
    expect(() => destination().close?.()).not.toThrow()
  })
})

test.each([
  [{ tube: 'a\r\nput 0 0 1 1\r\nx' }, TypeError],
  [{ tube: '' }, TypeError],
  [{ name: '' }, TypeError],
  [{ addr: 'beanstalkd' }, TypeError],
  [{ priority: Number.NaN }, RangeError],
  [{ ttr: 0 }, RangeError],
  [{ delay: -1 }, RangeError],
  [{ timeoutMs: 0 }, RangeError],
  [{ timeoutMs: 2_147_483_648 }, RangeError],
])('wrong options throw at construction: %j', (wrong, kind) => {
  expect(() => destination(wrong)).toThrow(kind)
})

test('an unknown event throws at construction', () => {
  const events = ['accepted', 'verdicts'] as unknown as readonly 'accepted'[]
  expect(() => destination({ events })).toThrow(/"verdicts": it must be one of accepted, /)
})

test('an unknown option throws when the destination is created', () => {
  const options = { addr: 'a:1', tube: 'chat', renderer, prioriti: 1 }
  expect(() => createBeanstalkdDestination(options)).toThrow(
    new TypeError(
      'Cannot use the option `prioriti`: there is no such option; the closest one is `priority`',
    ),
  )
})
