// A TCP proxy in front of beanstalkd that records which jobs beanstalkd acknowledged. Beanstalkd
// 1.12 loses its last acknowledged job once in a few hundred `kill -9`, so that its tubes do not
// prove what a client delivered.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A job whose `INSERTED` was forwarded to the client. */
export interface AcknowledgedJob {
  /** Not unique: beanstalkd uses the ID of a job that it lost again. */
  readonly id: number
  readonly tube: string
  readonly body: Buffer
}

/** A running recorder. */
export interface BeanstalkdRecorder {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  readonly port: number
  /** The acknowledged jobs so far, in order. */
  readonly acknowledged: readonly AcknowledgedJob[]
  /** How many clients are connected now. */
  openConnections(): number
  /** Closes all connections and stops listening. */
  close(): Promise<void>
}

/** A command that waits for its reply. */
type Command =
  | { readonly put: Pick<AcknowledgedJob, 'tube' | 'body'> }
  | { readonly put: undefined }

/**
 * Starts a recorder.
 *
 * @param targetPort The port of beanstalkd on 127.0.0.1. It need not run: a connection to the
 *   recorder ends when beanstalkd ends or refuses its own.
 * @returns The recorder, listening on a free port of 127.0.0.1.
 */
export async function startBeanstalkdRecorder(targetPort: number): Promise<BeanstalkdRecorder> {
  const acknowledged: AcknowledgedJob[] = []
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    clients.add(client)
    client.once('close', () => clients.delete(client))
    relay(client, connect(targetPort, '127.0.0.1'), (job) => acknowledged.push(job))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  async function close(): Promise<void> {
    for (const client of clients) {
      client.destroy()
    }
    server.close()
    await once(server, 'close')
  }

  return {
    ...{ address: `127.0.0.1:${port}`, port, acknowledged },
    openConnections: () => clients.size,
    close,
  }
}

/**
 * Forwards all bytes in both directions, and reports the jobs whose acknowledgement was forwarded.
 */
function relay(
  client: Socket,
  beanstalkd: Socket,
  onAcknowledged: (job: AcknowledgedJob) => void,
): void {
  const commands: Command[] = []
  const readCommands = createCommandReader((command) => commands.push(command))
  const readReplies = createReplyReader((words) => {
    const [word, id] = words
    const put = commands.shift()?.put
    return word === 'INSERTED' && put !== undefined ? [{ id: Number(id), ...put }] : []
  })
  for (const [socket, other] of [
    [client, beanstalkd],
    [beanstalkd, client],
  ] as const) {
    // A 'close' event follows.
    socket.on('error', () => {})
    socket.on('close', () => other.destroy())
  }
  client.on('data', (data) => {
    readCommands(data)
    beanstalkd.write(data)
  })
  beanstalkd.on('data', (data) => {
    const jobs = readReplies(data)
    client.write(data, (error) => {
      if (!error) {
        jobs.forEach(onAcknowledged)
      }
    })
  })
}

/** Reads lines, each followed by a body if `bodyLength` returns a length. */
function createReader(
  onMessage: (line: string, body: Buffer) => void,
  bodyLength: (words: readonly string[]) => number | undefined,
): (data: Buffer) => void {
  let received = Buffer.alloc(0)
  return (data) => {
    received = Buffer.concat([received, data])
    for (;;) {
      const lineEnd = received.indexOf('\r\n')
      if (lineEnd < 0) return
      const line = received.toString('latin1', 0, lineEnd)
      const length = bodyLength(line.split(' '))
      const bodyStart = lineEnd + 2
      const end = length === undefined ? bodyStart : bodyStart + length + 2
      if (received.length < end) return
      const body = Buffer.from(received.subarray(bodyStart, bodyStart + (length ?? 0)))
      received = received.subarray(end)
      onMessage(line, body)
    }
  }
}

function createCommandReader(onCommand: (command: Command) => void): (data: Buffer) => void {
  let tube = 'default'
  return createReader(
    (line, body) => {
      const [word, name = ''] = line.split(' ')
      if (word === 'use') tube = name
      onCommand({ put: word === 'put' ? { tube, body } : undefined })
    },
    (words) => (words[0] === 'put' ? Number(words[4]) : undefined),
  )
}

/** Returns the jobs that a chunk of beanstalkd's replies acknowledges. */
function createReplyReader(
  onReply: (words: readonly string[]) => readonly AcknowledgedJob[],
): (data: Buffer) => readonly AcknowledgedJob[] {
  let jobs: readonly AcknowledgedJob[] = []
  const read = createReader(
    (line) => {
      jobs = [...jobs, ...onReply(line.split(' '))]
    },
    ([word, first, second]) => {
      if (word === 'OK') return Number(first)
      return word === 'RESERVED' || word === 'FOUND' ? Number(second) : undefined
    },
  )
  return (data) => {
    jobs = []
    read(data)
    return jobs
  }
}
