// beanstalkd, and a client that shares no code with Deployer.

import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { isListening } from './ports.ts'
import { createDaemon, type Daemon } from './processes.ts'

/** A job as a worker reserves it. */
export interface ReservedJob {
  readonly id: number
  readonly body: Buffer
  /** Priority, delay in seconds and time to run in seconds of the `put`. */
  readonly stats: { readonly pri: number; readonly delay: number; readonly ttr: number }
}

/** Access to a running beanstalkd. */
export interface BeanstalkdClient {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  readonly host: string
  readonly port: number
  /**
   * Reserves the next job of a tube and deletes it.
   *
   * @param tube The tube.
   * @param timeoutSeconds Whole seconds to wait for a job. Default: 60.
   * @returns The job.
   * @throws Error when no job came in time.
   */
  reserve(tube: string, timeoutSeconds?: number): Promise<ReservedJob>
  /**
   * Counts the jobs of a tube: ready, delayed, reserved and buried ones.
   *
   * @param tube The tube.
   * @returns Their number.
   */
  countJobs(tube: string): Promise<number>
  /**
   * Puts a job.
   *
   * @param tube The tube.
   * @param body The job's body.
   * @param stats Default: priority 0, no delay and 60 seconds to run.
   * @returns The job's ID.
   */
  put(tube: string, body: string | Buffer, stats?: Partial<ReservedJob['stats']>): Promise<number>
}

/** A beanstalkd that this process started. Its jobs are on disk, and survive stop and kill. */
export type Beanstalkd = BeanstalkdClient & Daemon

/** One connection. */
interface Conversation {
  /** Sends a command and reads the first line of the response. */
  ask(command: string | Buffer): Promise<string>
  /** Reads a body of this length, and the line end after it. */
  body(length: number): Promise<Buffer>
}

/**
 * Prepares a beanstalkd, which its `start` starts.
 *
 * @param directory The lab's directory.
 * @param port A free port.
 * @returns The beanstalkd.
 */
export async function createBeanstalkd(directory: string, port: number): Promise<Beanstalkd> {
  const binlog = join(directory, 'binlog')
  await mkdir(binlog)
  const daemon = createDaemon('beanstalkd', {
    directory,
    args: ['-l', '127.0.0.1', '-p', String(port), '-b', binlog],
    isReady: () => isListening(port),
  })
  return { ...connectBeanstalkd(port), ...daemon }
}

/**
 * Gives access to a running beanstalkd.
 *
 * @param port Its port on 127.0.0.1.
 * @returns The beanstalkd.
 */
export function connectBeanstalkd(port: number): BeanstalkdClient {
  function reserve(tube: string, timeoutSeconds = 60): Promise<ReservedJob> {
    return converse(port, timeoutSeconds, async ({ ask, body }) => {
      expect(await ask(`watch ${tube}`), 'WATCHING')
      if (tube !== 'default') expect(await ask('ignore default'), 'WATCHING')
      const answer = await ask(`reserve-with-timeout ${timeoutSeconds}`)
      if (answer === 'TIMED_OUT') {
        throw new Error(
          `Timed out after ${timeoutSeconds} s while waiting for a job in tube "${tube}"`,
        )
      }
      const [id, length] = numbers(expect(answer, 'RESERVED'))
      const jobBody = await body(length)
      const [statsLength] = numbers(expect(await ask(`stats-job ${id}`), 'OK'))
      const stats = (await body(statsLength)).toString()
      expect(await ask(`delete ${id}`), 'DELETED')
      return {
        id,
        body: jobBody,
        stats: { pri: stat(stats, 'pri'), delay: stat(stats, 'delay'), ttr: stat(stats, 'ttr') },
      }
    })
  }

  function countJobs(tube: string): Promise<number> {
    return converse(port, 5, async ({ ask, body }) => {
      const answer = await ask(`stats-tube ${tube}`)
      if (answer === 'NOT_FOUND') return 0
      const [length] = numbers(expect(answer, 'OK'))
      const stats = (await body(length)).toString()
      const states = ['ready', 'delayed', 'reserved', 'buried']
      return states.reduce((sum, state) => sum + stat(stats, `current-jobs-${state}`), 0)
    })
  }

  function put(
    tube: string,
    body: string | Buffer,
    stats: Partial<ReservedJob['stats']> = {},
  ): Promise<number> {
    const { pri = 0, delay = 0, ttr = 60 } = stats
    const bytes = Buffer.from(body)
    return converse(port, 5, async ({ ask }) => {
      expect(await ask(`use ${tube}`), 'USING')
      const head = Buffer.from(`put ${pri} ${delay} ${ttr} ${bytes.length}\r\n`)
      const [id] = numbers(expect(await ask(Buffer.concat([head, bytes])), 'INSERTED'))
      return id
    })
  }

  return { address: `127.0.0.1:${port}`, host: '127.0.0.1', port, reserve, countJobs, put }
}

/** Opens a connection for `talk`, and closes it afterwards. */
async function converse<T>(
  port: number,
  timeoutSeconds: number,
  talk: (conversation: Conversation) => Promise<T>,
): Promise<T> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout((timeoutSeconds + 5) * 1000, () => {
    socket.destroy(new Error(`No response from beanstalkd on port ${port}`))
  })
  const chunks = socket[Symbol.asyncIterator]()
  let received = Buffer.alloc(0)

  async function take(end: () => number | undefined): Promise<Buffer> {
    for (;;) {
      const length = end()
      if (length !== undefined && length <= received.length) {
        const taken = received.subarray(0, length)
        received = received.subarray(length)
        return taken
      }
      const chunk = await chunks.next()
      if (chunk.done) throw new Error(`Lost the connection to beanstalkd on port ${port}`)
      received = Buffer.concat([received, chunk.value])
    }
  }

  async function ask(command: string | Buffer): Promise<string> {
    socket.write(Buffer.concat([Buffer.from(command), Buffer.from('\r\n')]))
    const line = await take(() => {
      const end = received.indexOf('\r\n')
      return end < 0 ? undefined : end + 2
    })
    return line.toString().trimEnd()
  }

  async function body(length: number): Promise<Buffer> {
    const bytes = await take(() => length + 2)
    return bytes.subarray(0, length)
  }

  try {
    return await talk({ ask, body })
  } finally {
    socket.destroy()
  }
}

function expect(answer: string, word: string): string {
  if (answer.split(' ')[0] === word) return answer
  throw new Error(`Expected "${word}" from beanstalkd, got "${answer}"`)
}

/** The numbers after the first word of a response. */
function numbers(answer: string): [number, number] {
  const [, first, second] = answer.split(' ').map(Number)
  return [first ?? Number.NaN, second ?? Number.NaN]
}

function stat(yaml: string, name: string): number {
  const value = new RegExp(`^${name}: (\\d+)$`, 'm').exec(yaml)?.[1]
  if (value === undefined) throw new Error(`Expected "${name}" in beanstalkd's statistics`)
  return Number(value)
}
