// One connection to beanstalkd, through fivebeans: `use` once, then jobs, until something is wrong.

// The package's main file brings a worker and a runner along, 5 MiB of memory.
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

/** What ends a put. */
export interface PutOptions {
  /** The longest that connecting and putting may take, in milliseconds. */
  readonly timeoutMs: number
  /** Not aborted yet. */
  readonly signal: AbortSignal
}

/** A connection that was opened. */
export interface BeanstalkdConnection {
  /**
   * Puts a job.
   *
   * @param job The job.
   * @param options What ends the put.
   * @returns Nothing, once beanstalkd answered `INSERTED` and the job's ID.
   * @throws DeliveryError whose message is the reason; final only where the job is too big.
   */
  put(job: Job, options: PutOptions): Promise<void>
  /** False once anything went wrong: what comes next wants a fresh connection. */
  isUsable(): boolean
  /** Gives up what is under way. */
  close(reason: string): void
}

/** Where jobs go. */
export interface ConnectionOptions {
  readonly address: Address
  readonly tube: string
}

// A connection without work is closed, so that none is left over.
const IDLE_MS = 1000
// `USING` and the longest name of a tube have 206.
const MAX_ANSWER_BYTES = 1024
/** What one `put` can be answered, with the next answer being that of the next `put`. */
const REFUSALS: readonly string[] = [
  'BURIED',
  'DRAINING',
  'INTERNAL_ERROR',
  'JOB_TOO_BIG',
  'OUT_OF_MEMORY',
]

/**
 * Opens a connection. After any fault it takes no more jobs, and what it has been given already runs
 * to its own end: fivebeans never calls back a command whose connection died, and a client that
 * connects again would keep the old handlers.
 *
 * @param options Where, and which tube.
 * @returns The connection; connecting goes on behind it.
 */
export function openConnection({ address, tube }: ConnectionOptions): BeanstalkdConnection {
  const client = new FiveBeansClient(address.host, address.port)
  const pending = new Set<(fault: DeliveryError) => void>()
  const waiting: (() => void)[] = []
  let isReady = false
  let isSpoilt = false
  let idleTimer: NodeJS.Timeout | undefined

  function close(reason: string): void {
    isSpoilt = true
    clearTimeout(idleTimer)
    for (const giveUp of pending) {
      giveUp(new DeliveryError(reason))
    }
    client.stream?.destroy()
  }

  function settled(): void {
    if (pending.size === 0) {
      if (isSpoilt) {
        close('it is spoilt')
      } else {
        idleTimer = setTimeout(close, IDLE_MS, 'it was idle')
      }
    }
  }

  function put(job: Job, { timeoutMs, signal }: PutOptions): Promise<void> {
    clearTimeout(idleTimer)
    return new Promise((resolve, reject) => {
      const end = (fault: DeliveryError | undefined): void => {
        if (pending.delete(end)) {
          clearTimeout(timer)
          callOff()
          isSpoilt ||= fault !== undefined
          settled()
          if (fault === undefined) {
            resolve()
          } else {
            reject(fault)
          }
        }
      }
      const giveUp = (reason: string): void => end(new DeliveryError(reason))
      const timer = setTimeout(giveUp, timeoutMs, `no answer within ${timeoutMs} ms`)
      const callOff = onAbort(signal, () => giveUp('it was called off'))
      pending.add(end)
      const write = (): void => {
        if (pending.has(end)) {
          client.put(job.priority, job.delay, job.ttr, job.payload, (word, ...words) => {
            if (word === null && words.length === 1 && /^\d+$/.test(words[0] ?? '')) {
              end(undefined)
            } else if (word !== null && REFUSALS.includes(word)) {
              end(new DeliveryError(answered(word), { isFinal: word === 'JOB_TOO_BIG' }))
            } else {
              // Nor is it known any more which answer is whose.
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
   * What nobody has asked for must not be taken for the answer to what comes next.
   *
   * @returns Whether there was some.
   */
  function refuseExcess(): boolean {
    const mostBytes = client.handlers.length === 0 ? 0 : MAX_ANSWER_BYTES
    const isTooMuch = (client.buffer?.length ?? 0) > mostBytes
    if (isTooMuch) {
      close('it was told more than an answer')
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
  // After fivebeans' own listener.
  client.stream?.on('data', refuseExcess)
  return { put, isUsable: () => !isSpoilt, close }
}

/**
 * fivebeans reads the body behind an `OK` as YAML, in a socket's event handler, where a throw ends the
 * process; and its js-yaml makes functions of what asks for it. Neither `use` nor `put` has a body.
 */
function neverParseBodies(client: FiveBeansClient): void {
  const [handler] = client.handlers.at(-1) ?? []
  if (handler !== undefined) {
    handler.RESPONSES_REQUIRING_BODY = {}
  }
}

/** Beanstalkd's own word (`DRAINING`, `JOB_TOO_BIG`) or anybody's. */
function answered(words: string): string {
  return `the answer was ${JSON.stringify(words.slice(0, 100))}`
}
