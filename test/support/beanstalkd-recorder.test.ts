// The recorder on which the test of lost notifications relies.

import { connect, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { type BeanstalkdRecorder, startBeanstalkdRecorder } from './beanstalkd-recorder.ts'
import { type Loopback, tcpLoopback } from './loopback.ts'

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 12_000 })

let recorder: BeanstalkdRecorder
let beanstalkd: Loopback
let client: Socket

afterEach(async () => {
  client.destroy()
  await recorder.close()
  await beanstalkd.close()
})

/** Starts all three; `answer` receives what beanstalkd receives, and its socket. */
async function start(answer: (text: string, socket: Socket) => void): Promise<() => string> {
  beanstalkd = await tcpLoopback((socket) => {
    socket.on('data', (data) => answer(data.toString('latin1'), socket))
  })
  recorder = await startBeanstalkdRecorder(beanstalkd.port)
  client = connect(recorder.port, '127.0.0.1')
  client.on('error', () => {})
  let received = ''
  client.on('data', (data) => {
    received += data.toString('latin1')
  })
  return () => received
}

test('jobs are recorded with ID, tube and body once INSERTED is forwarded', async () => {
  let commands = ''
  const received = await start((text, socket) => {
    commands += text
    if (commands.endsWith('put 1 2 3 6\r\n\xe4\r\nput\r\n'))
      socket.write('USING chat\r\nINSERTED 7\r\n')
    if (commands.endsWith('put 0 0 60 0\r\n\r\n')) socket.write('INSERTED 8\r\n')
  })
  client.write(Buffer.from('use chat\r\nput 1 2 3 6\r\n\xe4\r\nput\r\n', 'latin1'))
  await until(() => expect(received()).toBe('USING chat\r\nINSERTED 7\r\n'))
  client.write('put 0 0 60 0\r\n\r\n')
  await until(() => expect(recorder.acknowledged).toHaveLength(2))
  expect(recorder.acknowledged).toEqual([
    { id: 7, tube: 'chat', body: Buffer.from('\xe4\r\nput', 'latin1') },
    { id: 8, tube: 'chat', body: Buffer.alloc(0) },
  ])
})

test('commands and replies may be split into any chunks', async () => {
  const received = await start((text, socket) => {
    if (text.endsWith('$')) {
      const answer = 'OK 12\r\nINSERTED 99\n\r\nBURIED\r\nINSERTED 5\r\n'
      for (const [n, piece] of [...answer].entries()) {
        setTimeout(() => socket.write(piece), n)
      }
    }
  })
  for (const piece of 'stats\r\nput 0 0 1 1\r\na\r\nput 0 0 1 1\r\nb\r\n$') {
    client.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => expect(received()).toMatch(/INSERTED 5\r\n$/))
  expect(recorder.acknowledged).toEqual([{ id: 5, tube: 'default', body: Buffer.from('b') }])
})

test('a job without a complete INSERTED is not recorded', async () => {
  await start((_, socket) => {
    socket.write('USING chat\r\nINSERT')
    socket.end()
  })
  let isDisconnected = false
  client.on('close', () => {
    isDisconnected = true
  })
  client.write('use chat\r\nput 0 0 1 1\r\na\r\n')
  await until(() => expect(isDisconnected).toBe(true))
  expect(recorder.acknowledged).toEqual([])
})

test('an INSERTED after the client has disconnected is not recorded', async () => {
  let isPut = false
  let isDisconnected = false
  await start((_, socket) => {
    isPut = true
    socket.on('close', () => {
      isDisconnected = true
    })
    void until(() => expect(recorder.openConnections()).toBe(0)).then(() => {
      socket.write('INSERTED 1\r\n')
    })
  })
  client.write('put 0 0 1 1\r\na\r\n')
  await until(() => expect(isPut).toBe(true))
  client.destroy()
  await until(() => expect(isDisconnected).toBe(true))
  expect(recorder.acknowledged).toEqual([])
})

test('the client is disconnected if beanstalkd ends or refuses the connection', async () => {
  await start(() => {})
  await until(() => expect(beanstalkd.openConnections()).toBe(1))
  await beanstalkd.close()
  await until(() => expect(recorder.openConnections()).toBe(0))
  const second = connect(recorder.port, '127.0.0.1')
  let isDisconnected = false
  second.on('error', () => {})
  second.on('close', () => {
    isDisconnected = true
  })
  await until(() => expect(isDisconnected).toBe(true))
  expect(recorder.openConnections()).toBe(0)
})
