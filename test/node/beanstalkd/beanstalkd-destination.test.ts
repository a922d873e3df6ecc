// The beanstalkd destination against scripted sockets: what a real beanstalkd rarely does.

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
/** Plays one connection. */
type Play = (socket: Socket) => void

/** A script for what comes in; the data of a job is no command. */
function scripted(script: Script): Play {
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
/** Plays the next connections, one each; healthy ones follow. */
let plays: Play[]
let connections: number

beforeEach(async () => {
  received = ''
  plays = []
  connections = 0
  beanstalkd = await tcpLoopback((socket) => {
    connections += 1
    const play = plays.shift() ?? scripted(healthy)
    play(socket)
  })
})

afterEach(() => beanstalkd.close())

function destination(options: Partial<BeanstalkdDestinationOptions> = {}): Destination {
  const addr = `127.0.0.1:${beanstalkd.port}`
  return createBeanstalkdDestination({ addr, tube: 'chat', renderer, timeoutMs: 200, ...options })
}

function deliver(to: Destination, signal = new AbortController().signal): Promise<void> {
  return to.deliver(EVENT, signal)
}

function faultOf(delivery: Promise<void>): Promise<unknown> {
  return delivery.then(
    () => 'delivered',
    (error) => error,
  )
}

/** Nothing is left over. Vitest has a timer of its own now and then, and `vi.waitFor` always. */
async function isAllGone(withinMs = 500): Promise<void> {
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const endsAt = performance.now() + withinMs
  while (beanstalkd.openConnections() + timers() > 0 && performance.now() < endsAt) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect({ connections: beanstalkd.openConnections(), timers: timers() }).toEqual({
    connections: 0,
    timers: 0,
  })
}

/** The next message arrives, and after that nothing is left over. */
async function isWellAgain(chat: Destination): Promise<void> {
  received = ''
  await deliver(chat)
  expect(received).toBe(EXCHANGE)
  chat.close?.()
  await isAllGone()
}

async function pass(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

test('uses the tube, puts the bytes of the message with priority, delay and TTR, and hangs up', async () => {
  await deliver(destination())
  expect(received).toBe(EXCHANGE)
  expect(beanstalkd.openConnections()).toBe(1)
  await isAllGone(3000)
})

test('the message is made of the event, and the numbers are those of the options', async () => {
  const { deliver } = destination({
    renderer: { render: ({ ServiceName, Event }) => `${ServiceName} ${Event}` },
    ...{ priority: 0, delay: 5, ttr: 4_294_967_295 },
  })
  await deliver(exampleEvent({ event: 'rolled-back' }), new AbortController().signal)
  expect(received).toBe(`${USE}put 0 5 4294967295 16\r\nblog rolled-back\r\n`)
})

test('a message of nothing is no job and opens no connection, white space is a job', async () => {
  const texts = ['', ' \n']
  const chat = destination({ renderer: { render: () => texts.shift() ?? 'x' } })
  await deliver(chat)
  expect({ connections, received }).toEqual({ connections: 0, received: '' })
  await deliver(chat)
  expect(received).toBe(`${USE}put 10 0 60 2\r\n \n\r\n`)
})

test('is called after address and tube, and told of what was accepted, unless told otherwise', () => {
  expect(destination()).toMatchObject({
    name: `beanstalkd:127.0.0.1:${beanstalkd.port}/chat`,
    events: ['accepted'],
  })
  expect(destination({ name: 'chat', events: ['failed', 'refused'] })).toMatchObject({
    name: 'chat',
    events: ['failed', 'refused'],
  })
})

test('messages share a connection while there is work, and the tube is used once', async () => {
  const chat = destination()
  await Promise.all([deliver(chat), deliver(chat)])
  await deliver(chat)
  expect(received.match(/^use /gm)).toHaveLength(1)
  expect(received.match(/^put /gm)).toHaveLength(3)
  expect(connections).toBe(1)
})

test('messages under way at once have the answers in their order', async () => {
  let puts = 0
  const refusals = ['INSERTED 7\r\n', 'DRAINING\r\n', 'INSERTED 8\r\n']
  plays = [scripted((line) => (line.startsWith('use') ? USING : refusals[puts++]))]
  const chat = destination()
  const outcomes = await Promise.allSettled([deliver(chat), deliver(chat), deliver(chat)])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('after a refusal the next message has a fresh connection, and what was under way is not lost', async () => {
  let puts = 0
  plays = [
    scripted((line) => {
      puts += line.startsWith('put') ? 1 : 0
      return line.startsWith('use') ? USING : puts === 1 ? 'JOB_TOO_BIG\r\n' : 'INSERTED 1\r\n'
    }),
  ]
  const chat = destination()
  const outcomes = await Promise.allSettled([deliver(chat), deliver(chat), deliver(chat)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  await isWellAgain(chat)
  expect(connections).toBe(2)
})

test('an answer that beanstalkd does not give spoils the answers after it', async () => {
  let puts = 0
  plays = [
    scripted((line) => {
      puts += line.startsWith('put') ? 1 : 0
      return line.startsWith('use') ? USING : puts === 2 ? 'hello\r\nINSERTED 1\r\n' : undefined
    }),
  ]
  const chat = destination()
  const outcomes = await Promise.allSettled([deliver(chat), deliver(chat)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await isWellAgain(chat)
})

test.each([
  ['before the put', [answerUse(ANSWERS)]],
  ['while there is no work', [answerPut('INSERTED 1\r\nINSERTED 2\r\n'), answerPut(undefined)]],
])('an answer that came %s is not taken for that of the next message', async (_, scripts) => {
  plays = scripts.map(scripted)
  const chat = destination()
  if (scripts.length > 1) {
    await deliver(chat)
  }
  expect(await faultOf(deliver(chat))).toBeInstanceOf(DeliveryError)
  await isWellAgain(chat)
})

describe('a message is reported as not delivered, with tube and reason, and nothing leaks, when', () => {
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

  test.each(cases)('%s', async (_, script, reason) => {
    plays = [scripted(script)]
    const chat = destination()
    const fault = await faultOf(deliver(chat))
    const place = `Cannot put the message on tube "chat" of beanstalkd at 127.0.0.1:${beanstalkd.port}: `
    expect(fault).toBeInstanceOf(DeliveryError)
    expect(fault).toMatchObject({ isFinal: false, message: expect.stringContaining(place) })
    expect(fault).toMatchObject({ message: expect.stringMatching(reason) })
    await isAllGone()
    await isWellAgain(chat)
  })

  test('nobody listens', async () => {
    const chat = destination()
    await beanstalkd.close()
    await expect(deliver(chat)).rejects.toThrow('ECONNREFUSED')
    await isAllGone()
  })

  test('nothing is heard from who should connect', async () => {
    // 192.0.2.0/24 is nobody's (RFC 5737): whatever the network says, there is no connection.
    const chat = destination({ addr: '192.0.2.1:11300', timeoutMs: 100 })
    const began = performance.now()
    expect(await faultOf(deliver(chat))).toBeInstanceOf(DeliveryError)
    expect(performance.now() - began).toBeLessThan(1000)
    await isAllGone()
  })
})

test('a job that is too big is a final fault', async () => {
  plays = [scripted(answerPut('JOB_TOO_BIG\r\n'))]
  const chat = destination()
  expect(await faultOf(deliver(chat))).toMatchObject({
    name: 'DeliveryError',
    isFinal: true,
    message: expect.stringMatching(/: the answer was "JOB_TOO_BIG"$/),
  })
  await isWellAgain(chat)
})

test('a template that fails is a final fault, and nothing is sent', async () => {
  const render = (): string => {
    throw new Error('SECRET')
  }
  const fault = await faultOf(deliver(destination({ renderer: { render } })))
  expect(fault).toMatchObject({
    isFinal: true,
    message: expect.stringMatching(/: its template fails$/),
  })
  expect(connections).toBe(0)
})

test('a message that ran out of time while connecting takes no later one along', async () => {
  const greetings: (() => void)[] = []
  plays = [
    scripted((line, socket) => {
      if (line.startsWith('use')) {
        greetings.push(() => socket.write(USING))
        return undefined
      }
      return 'INSERTED 1\r\n'
    }),
  ]
  const chat = destination({ timeoutMs: 400 })
  const early = faultOf(deliver(chat))
  await pass(200)
  const late = deliver(chat)
  expect(String(await early)).toContain('no answer within 400 ms')
  for (const greet of greetings) {
    greet()
  }
  await late
  expect(received.match(/^put /gm)).toHaveLength(1)
  await isAllGone()
})

describe('answers that come byte by byte', () => {
  const drip =
    (everyMs: number): Play =>
    (socket) => {
      socket.setNoDelay()
      scripted((line) => {
        const bytes = [...(healthy(line, socket) ?? '')]
        const timer = setInterval(() => {
          socket.write(bytes.shift() ?? '')
          if (bytes.length === 0) {
            clearInterval(timer)
          }
        }, everyMs)
        socket.on('close', () => clearInterval(timer))
        return undefined
      })(socket)
    }

  test('are answers, as long as there is time', async () => {
    plays = [drip(5)]
    const chat = destination({ timeoutMs: 3000 })
    await deliver(chat)
    await isWellAgainOnTheSame(chat)
  })

  test('are none once the time is over, though each byte comes soon', async () => {
    plays = [drip(60)]
    const chat = destination({ timeoutMs: 300 })
    const began = performance.now()
    await expect(deliver(chat)).rejects.toThrow('no answer within 300 ms')
    expect(performance.now() - began).toBeLessThan(1200)
    await isAllGone()
    await isWellAgain(chat)
  })

  async function isWellAgainOnTheSame(chat: Destination): Promise<void> {
    await deliver(chat)
    expect(connections).toBe(1)
    chat.close?.()
    await isAllGone()
  }
})

describe('a close in the exchange', () => {
  const ways = ['end', 'destroy', 'resetAndDestroy'] as const

  test.each(ways)('at every byte that the client sends (%s) is a fault', async (way) => {
    for (let bytes = 0; bytes <= EXCHANGE_BYTES; bytes += 1) {
      plays = [
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
      const fault = await faultOf(deliver(chat))
      expect(fault, `after ${bytes} bytes`).toBeInstanceOf(DeliveryError)
      expect(String(fault), `after ${bytes} bytes`).not.toContain('no answer')
      await isWellAgain(chat)
    }
  })

  test.each(['end', 'destroySoon'] as const)(
    'at every byte that beanstalkd answers (%s) is a fault, unless the whole answer came',
    async (way) => {
      for (let bytes = 0; bytes <= ANSWERS.length; bytes += 1) {
        plays = [
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
        const outcome = await faultOf(deliver(chat))
        if (bytes === ANSWERS.length) {
          expect(outcome).toBe('delivered')
          await isAllGone()
        } else {
          expect(outcome, `after ${bytes} bytes`).toBeInstanceOf(DeliveryError)
          expect(String(outcome), `after ${bytes} bytes`).not.toContain('no answer')
        }
        await isWellAgain(chat)
      }
    },
  )
})

describe('a signal', () => {
  test('that has aborted lets nothing begin', async () => {
    const fault = await faultOf(deliver(destination(), AbortSignal.abort()))
    expect(fault).toBeInstanceOf(DeliveryError)
    expect(fault).toMatchObject({ isFinal: false, message: expect.stringMatching(/called off$/) })
    expect(connections).toBe(0)
  })

  test.each([
    ['use', answerUse(undefined)],
    ['put', answerPut(undefined)],
  ])('that aborts while %s is not answered ends the try at once', async (command, script) => {
    plays = [scripted(script)]
    const chat = destination({ timeoutMs: 10_000 })
    const controller = new AbortController()
    const delivery = faultOf(deliver(chat, controller.signal))
    await vi.waitFor(() => expect(received).toContain(command), { interval: 5 })
    controller.abort()
    expect(await delivery).toMatchObject({ message: expect.stringMatching(/called off$/) })
    await isAllGone()
    expect(received.includes('put')).toBe(command === 'put')
    await isWellAgain(chat)
  })

  test('that aborts lets what else is under way run to its own end', async () => {
    const pending: (() => void)[] = []
    plays = [
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
    const calledOff = faultOf(deliver(chat, controller.signal))
    const other = deliver(chat)
    await vi.waitFor(() => expect(pending).toHaveLength(2), { interval: 5 })
    controller.abort()
    expect(await calledOff).toBeInstanceOf(DeliveryError)
    for (const answer of pending) {
      answer()
    }
    await other
    await isWellAgain(chat)
    expect(connections).toBe(2)
  })

  test('of many messages has one listener, and none afterwards', async () => {
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
  test('ends a connection that is kept', async () => {
    const chat = destination()
    await deliver(chat)
    chat.close?.()
    await isAllGone()
  })

  test('ends what is under way, spoilt connections too', async () => {
    plays = [scripted(answerPut(undefined)), scripted(answerPut(undefined))]
    const chat = destination({ timeoutMs: 10_000 })
    const controller = new AbortController()
    const first = faultOf(deliver(chat, controller.signal))
    const deliveries = [faultOf(deliver(chat))]
    controller.abort()
    await first
    deliveries.push(faultOf(deliver(chat)))
    await vi.waitFor(() => expect(beanstalkd.openConnections()).toBe(2))
    chat.close?.()
    for (const delivery of deliveries) {
      expect(await delivery).toMatchObject({ message: expect.stringMatching(/called off$/) })
    }
    await isWellAgain(chat)
  })

  test('of one that never connected does nothing', () => {
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

test('an event that there is not throws at construction', () => {
  const events = ['accepted', 'verdicts'] as unknown as readonly 'accepted'[]
  expect(() => destination({ events })).toThrow(/"verdicts": it must be one of accepted, /)
})
