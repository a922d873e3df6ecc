// The recorder that the test of lost notifications trusts.

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

/** Starts all three; `answer` gets everything that beanstalkd receives, and its socket. */
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

test('jobs are recorded with ID, tube and body once INSERTED is passed on', async () => {
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

test('the pieces in which commands and answers come do not matter', async () => {
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

test('a job that beanstalkd took, but whose INSERTED it never sent, is not recorded', async () => {
  await start((_, socket) => {
    socket.write('USING chat\r\nINSERT')
    socket.end()
  })
  let isCut = false
  client.on('close', () => {
    isCut = true
  })
  client.write('use chat\r\nput 0 0 1 1\r\na\r\n')
  await until(() => expect(isCut).toBe(true))
  expect(recorder.acknowledged).toEqual([])
})

test('an INSERTED that comes when the client has gone is not recorded', async () => {
  let isPut = false
  let isCut = false
  await start((_, socket) => {
    isPut = true
    socket.on('close', () => {
      isCut = true
    })
    void until(() => expect(recorder.openConnections()).toBe(0)).then(() => {
      socket.write('INSERTED 1\r\n')
    })
  })
  client.write('put 0 0 1 1\r\na\r\n')
  await until(() => expect(isPut).toBe(true))
  client.destroy()
  await until(() => expect(isCut).toBe(true))
  expect(recorder.acknowledged).toEqual([])
})

test('a beanstalkd that ends cuts the client, and so does one that refuses connections', async () => {
  await start(() => {})
  await until(() => expect(beanstalkd.openConnections()).toBe(1))
  await beanstalkd.close()
  await until(() => expect(recorder.openConnections()).toBe(0))
  const second = connect(recorder.port, '127.0.0.1')
  let isCut = false
  second.on('error', () => {})
  second.on('close', () => {
    isCut = true
  })
  await until(() => expect(isCut).toBe(true))
  expect(recorder.openConnections()).toBe(0)
})
