// A connection to beanstalkd through fivebeans: one `use`, then jobs until the first error.

// The main file of the package also loads a worker and a runner, which take 5 MiB of memory.
import FiveBeansClient from 'fivebeans/lib/client.js'
import { onAbort } from '../../async/abort.ts'
import { DeliveryError } from '../../notification/delivery-error.ts'
import { errorMessage } from '../../text/error-message.ts'
import type { Address } from '../settings/address.ts'

/** A job to put. */
export interface Job {
  readonly payload: Buffer
  readonly priority: number
  /** Seconds. */
  readonly delay: number
  /** Seconds. */
  readonly ttr: number
}

/** The limits of a put. */
export interface PutOptions {
  /** How long connecting and putting may take, in milliseconds. */
  readonly timeoutMs: number
  /** Cancels the put. Must not be aborted yet. */
  readonly signal: AbortSignal
}

/** An open connection. */
export interface BeanstalkdConnection {
  /**
   * Puts a job.
   *
   * @param job The job.
   * @param options The limits of the put.
   * @returns A promise that resolves after the answer `INSERTED` with the ID of the job.
   * @throws DeliveryError with the reason; final only if the job is too big.
   */
  put(job: Job, options: PutOptions): Promise<void>
  /** Returns false after any error: the next job needs a new connection. */
  isUsable(): boolean
  /** Closes the connection. Puts in progress fail with the reason. */
  close(reason: string): void
}

/** The server and the tube. */
export interface ConnectionOptions {
  readonly address: Address
  readonly tube: string
}

// An idle connection is closed after this time.
const IDLE_MS = 1000
// `USING` and the longest name of a tube have 206 bytes.
const MAX_ANSWER_BYTES = 1024
/** Errors of a single `put`. The next answer belongs to the next `put`. */
const REFUSALS: readonly string[] = [
  'BURIED',
  'DRAINING',
  'INTERNAL_ERROR',
  'JOB_TOO_BIG',
  'OUT_OF_MEMORY',
]

/**
 * Opens a connection. After any error it accepts no more jobs, and puts in progress continue to their own
 * end. It does not reconnect, because fivebeans never calls the callback of a command whose connection was
 * lost, and a client that reconnects would keep the old handlers.
 *
 * @param options The server and the tube.
 * @returns The connection, which may still be connecting.
 */
export function openConnection({ address, tube }: ConnectionOptions): BeanstalkdConnection {
  const client = new FiveBeansClient(address.host, address.port)
  const pending = new Set<(error: DeliveryError) => void>()
  const waiting: (() => void)[] = []
  let isReady = false
  let hasFailed = false
  let idleTimer: NodeJS.Timeout | undefined

  function close(reason: string): void {
    hasFailed = true
    clearTimeout(idleTimer)
    for (const end of pending) {
      end(new DeliveryError(reason))
    }
    client.stream?.destroy()
  }

  function settled(): void {
    if (pending.size === 0) {
      if (hasFailed) {
        close('an earlier message failed')
      } else {
        idleTimer = setTimeout(close, IDLE_MS, 'it was idle')
      }
    }
  }

  function put(job: Job, { timeoutMs, signal }: PutOptions): Promise<void> {
    clearTimeout(idleTimer)
    return new Promise((resolve, reject) => {
      const end = (error: DeliveryError | undefined): void => {
        if (pending.delete(end)) {
          clearTimeout(timer)
          removeListener()
          hasFailed ||= error !== undefined
          settled()
          if (error === undefined) {
            resolve()
          } else {
            reject(error)
          }
        }
      }
      const fail = (reason: string): void => end(new DeliveryError(reason))
      const timer = setTimeout(fail, timeoutMs, `no answer within ${timeoutMs} ms`)
      const removeListener = onAbort(signal, () => fail('it was cancelled'))
      pending.add(end)
      const write = (): void => {
        if (pending.has(end)) {
          client.put(job.priority, job.delay, job.ttr, job.payload, (word, ...words) => {
            if (word === null && words.length === 1 && /^\d+$/.test(words[0] ?? '')) {
              end(undefined)
            } else if (word !== null && REFUSALS.includes(word)) {
              end(new DeliveryError(answered(word), { isFinal: word === 'JOB_TOO_BIG' }))
            } else {
              // It is also unknown to which put the following answers belong.
              close(answered(word ?? ['INSERTED', ...words].join(' ')))
            }
          })
          neverParseBodies(client)
        }
      }
      if (isReady) {
        write()
      } else {
        waiting.push(write)
      }
    })
  }

  /**
   * Closes the connection if it received more than an answer, because the rest must not be used as the
   * answer to the next command.
   *
   * @returns Whether it closed the connection.
   */
  function refuseExcess(): boolean {
    const maxBytes = client.handlers.length === 0 ? 0 : MAX_ANSWER_BYTES
    const isTooMuch = (client.buffer?.length ?? 0) > maxBytes
    if (isTooMuch) {
      close('it received more than an answer')
    }
    return isTooMuch
  }

  client.on('error', (error: Error) => close(errorMessage(error)))
  client.on('close', () => close('the connection was closed'))
  client.on('connect', () => {
    client.use(tube, (word, ...words) => {
      if (word !== null || words.join(' ') !== tube) {
        close(answered(word ?? ['USING', ...words].join(' ')))
      } else if (!refuseExcess()) {
        isReady = true
        for (const write of waiting.splice(0)) {
          write()
        }
      }
    })
    neverParseBodies(client)
  })
  client.connect()
  // Added after the listener of fivebeans, so that it is called after it.
  client.stream?.on('data', refuseExcess)
  return { put, isUsable: () => !hasFailed, close }
}

/**
 * Disables the parsing of bodies. fivebeans parses the body after `OK` as YAML in an event handler of the
 * socket, where an exception ends the process, and its version of js-yaml can create functions. The answers
 * to `use` and `put` have no body.
 */
function neverParseBodies(client: FiveBeansClient): void {
  const [handler] = client.handlers.at(-1) ?? []
  if (handler !== undefined) {
    handler.RESPONSES_REQUIRING_BODY = {}
  }
}

/** Formats an answer, which can be a word of beanstalkd (`DRAINING`) or any text. */
function answered(words: string): string {
  return `the answer was ${JSON.stringify(words.slice(0, 100))}`
}
