// The beanstalkd notifier against scripted sockets: what a real beanstalkd rarely does.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createFivebeansNotifier, type FivebeansNotifier } from '../../src/node/fivebeans.ts'
import type { DeploymentEvent } from '../../src/ports.ts'
import { type Loopback, tcpLoopback } from '../support/loopback.ts'

const EVENT: DeploymentEvent = {
  event: 'accepted',
  service: 'blog',
  serviceId: 'abc',
  image: 'me/blog:v2',
  previous: 'me/blog:v1',
}
const renderer = { render: () => 'deployed <blög> \r\n' }
const EXCHANGE = 'use chat\r\nput 10 0 60 19\r\ndeployed <blög> \r\n\r\n'

/** Answers per line that came in; the data of a job is no line of its own. */
type Script = (line: string) => string | 'close' | undefined

let beanstalkd: Loopback
let script: Script
let received: string

beforeEach(async () => {
  received = ''
  beanstalkd = await tcpLoopback((socket) => {
    socket.on('data', (data) => {
      received += data
      const [line = ''] = data.toString().split('\r\n')
      const reply = script(line)
      if (reply === 'close') {
        socket.destroy()
      } else if (reply !== undefined) {
        socket.write(reply)
      }
    })
  })
})

afterEach(() => beanstalkd.close())

function notifier(timeoutMs = 200): FivebeansNotifier {
  const addr = `127.0.0.1:${beanstalkd.port}`
  return createFivebeansNotifier({ addr, tube: 'chat', renderer, timeoutMs })
}

const timers = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

const healthy: Script = (line) => (line.startsWith('use') ? 'USING chat\r\n' : 'INSERTED 1\r\n')
const putAnswers =
  (reply: string): Script =>
  (line) =>
    line.startsWith('use') ? 'USING chat\r\n' : reply

test('uses the tube, puts the bytes of the message with priority, delay and TTR, and hangs up', async () => {
  script = healthy
  await notifier().notify(EVENT)
  expect(received).toBe(EXCHANGE)
  expect(beanstalkd.openConnections()).toBe(1)
  await vi.waitFor(() => expect(beanstalkd.openConnections()).toBe(0), { timeout: 3000 })
  expect(timers()).toBe(0)
})

test('messages share a connection while there is work, and the tube is used once', async () => {
  script = healthy
  const { notify } = notifier()
  await Promise.all([notify(EVENT), notify(EVENT)])
  await notify(EVENT)
  expect(received.match(/^use /gm)).toHaveLength(1)
  expect(received.match(/^put /gm)).toHaveLength(3)
})

test('after a refusal the next message has a fresh connection, and what was under way is not lost', async () => {
  let puts = 0
  const server = await tcpLoopback((socket) => {
    socket.on('data', (data) => {
      for (const line of data.toString().split('\r\n')) {
        if (line.startsWith('use')) {
          socket.write('USING chat\r\n')
        } else if (line.startsWith('put')) {
          puts += 1
          socket.write(puts === 1 ? 'JOB_TOO_BIG\r\n' : 'INSERTED 1\r\n')
        }
      }
    })
  })
  const addr = `127.0.0.1:${server.port}`
  const { notify } = createFivebeansNotifier({ addr, tube: 'chat', renderer })
  const outcomes = await Promise.allSettled([notify(EVENT), notify(EVENT), notify(EVENT)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  await notify(EVENT)
  await vi.waitFor(() => expect(server.openConnections()).toBe(0), { timeout: 3000 })
  await server.close()
})

describe('a message is reported as not delivered, with tube and reason, and nothing leaks, when', () => {
  const cases: readonly (readonly [string, Script, RegExp])[] = [
    ['put is answered DRAINING', putAnswers('DRAINING\r\n'), /"DRAINING"/],
    ['put is answered OUT_OF_MEMORY', putAnswers('OUT_OF_MEMORY\r\n'), /"OUT_OF_MEMORY"/],
    ['put is answered JOB_TOO_BIG', putAnswers('JOB_TOO_BIG\r\n'), /"JOB_TOO_BIG"/],
    ['put is answered BURIED', putAnswers('BURIED 7\r\n'), /"BURIED"/],
    ['put is answered EXPECTED_CRLF', putAnswers('EXPECTED_CRLF\r\n'), /"EXPECTED_CRLF"/],
    ['put is answered with nonsense', putAnswers('HTTP/1.1 200 OK\r\n'), /"HTTP\/1.1"/],
    ['put is answered with an empty line', putAnswers('\r\n'), /""/],
    ['put is answered with YAML that is none', putAnswers('OK 3\r\n{:[\r\n'), /"OK"/],
    ['put is answered with a job', putAnswers('RESERVED 1 3\r\nabc\r\n'), /"RESERVED"/],
    ['put is answered with half a line', putAnswers('INSERT'), /no answer within 200 ms/],
    [
      'put is not answered',
      (line) => (line.startsWith('use') ? 'USING chat\r\n' : undefined),
      /no answer/,
    ],
    ['use is refused', () => 'BAD_FORMAT\r\n', /"BAD_FORMAT"/],
    ['nothing is answered', () => undefined, /no answer within 200 ms/],
    ['the connection closes after use', () => 'close', /closed|ECONNRESET/],
    ['the connection closes after put', putAnswers('close'), /closed|ECONNRESET/],
  ]

  test.each(cases)('%s', async (_, answers, reason) => {
    script = answers
    const { notify, close } = notifier()
    const place = `Cannot put the message on tube "chat" of beanstalkd at 127.0.0.1:${beanstalkd.port}: `
    await expect(notify(EVENT)).rejects.toThrow(place)
    await expect(notify(EVENT)).rejects.toThrow(reason)
    await vi.waitFor(() => expect(beanstalkd.openConnections()).toBe(0))
    expect(await close(1000)).toBe(0)
  })

  test('nobody listens', async () => {
    script = healthy
    const { notify } = notifier()
    await beanstalkd.close()
    await expect(notify(EVENT)).rejects.toThrow('ECONNREFUSED')
  })
})

test('a message that ran out of time while connecting takes no later one along', async () => {
  const greetings: (() => void)[] = []
  const server = await tcpLoopback((socket) => {
    socket.on('data', (data) => {
      for (const line of data.toString().split('\r\n')) {
        if (line.startsWith('use')) {
          greetings.push(() => socket.write('USING chat\r\n'))
        } else if (line.startsWith('put')) {
          socket.write('INSERTED 1\r\n')
        }
      }
    })
  })
  const addr = `127.0.0.1:${server.port}`
  const { notify } = createFivebeansNotifier({ addr, tube: 'chat', renderer, timeoutMs: 400 })
  const early = Promise.resolve(notify(EVENT)).catch(String)
  await new Promise((resolve) => setTimeout(resolve, 200))
  const late = notify(EVENT)
  expect(await early).toContain('no answer within 400 ms')
  for (const greet of greetings) {
    greet()
  }
  await late
  await vi.waitFor(() => expect(server.openConnections()).toBe(0), { timeout: 3000 })
  await server.close()
})

test('answers that come byte by byte are answers', async () => {
  const server = await tcpLoopback((socket) => {
    socket.setNoDelay()
    socket.on('data', async (data) => {
      for (const byte of healthy(data.toString()) ?? '') {
        socket.write(byte)
        await new Promise((resolve) => setImmediate(resolve))
      }
    })
  })
  const addr = `127.0.0.1:${server.port}`
  await createFivebeansNotifier({ addr, tube: 'chat', renderer }).notify(EVENT)
  await server.close()
})

test('any close in the exchange, at every byte of the answers, ends in a report', async () => {
  const answers = 'USING chat\r\nINSERTED 1\r\n'
  for (let length = 0; length < answers.length; length += 1) {
    const server = await tcpLoopback((socket) => {
      let sent = 0
      socket.on('data', () => {
        const upTo = Math.min(length, sent === 0 ? 'USING chat\r\n'.length : answers.length)
        socket.write(answers.slice(sent, upTo))
        sent = upTo
        if (sent === length) {
          socket.end()
        }
      })
    })
    const addr = `127.0.0.1:${server.port}`
    const { notify } = createFivebeansNotifier({ addr, tube: 'chat', renderer, timeoutMs: 1000 })
    await expect(notify(EVENT)).rejects.toThrow(/closed|ECONNRESET|EPIPE/)
    await server.close()
  }
})

describe('close', () => {
  test('waits for the messages under way', async () => {
    const pending: (() => void)[] = []
    const server = await tcpLoopback((socket) => {
      socket.on('data', (data) => {
        const reply = healthy(data.toString()) ?? ''
        pending.push(() => socket.write(reply))
        setTimeout(() => pending.shift()?.(), 30)
      })
    })
    const addr = `127.0.0.1:${server.port}`
    const { notify, close } = createFivebeansNotifier({ addr, tube: 'chat', renderer })
    const notified = notify(EVENT)
    expect(await close(1000)).toBe(0)
    await notified
    await server.close()
  })

  test('gives up what is left when the time is over, and says how much', async () => {
    script = () => undefined
    const { notify, close } = notifier(10_000)
    const notified = Promise.allSettled([notify(EVENT), notify(EVENT)])
    expect(await close(50)).toBe(2)
    expect(await notified).toMatchObject([
      { reason: { message: expect.stringContaining('Deployer is shutting down') } },
      { status: 'rejected' },
    ])
    await vi.waitFor(() => expect(beanstalkd.openConnections()).toBe(0))
  })
})

test.each([
  [{ tube: 'a\r\nput 0 0 1 1\r\nx' }, TypeError],
  [{ tube: '' }, TypeError],
  [{ priority: Number.NaN }, RangeError],
  [{ ttr: 0 }, RangeError],
  [{ delay: -1 }, RangeError],
  [{ timeoutMs: 0 }, RangeError],
])('wrong options throw at construction: %j', (wrong, kind) => {
  const options = { addr: 'beanstalkd:11300', tube: 'chat', renderer, ...wrong }
  expect(() => createFivebeansNotifier(options)).toThrow(kind)
})

test('an addr that is none throws at construction', () => {
  expect(() => createFivebeansNotifier({ addr: 'beanstalkd', tube: 'chat', renderer })).toThrow(
    TypeError,
  )
})
