// One connection to beanstalkd, through fivebeans: `use` once, then jobs, until something is wrong.

// The package's main file brings a worker and a runner along, 5 MiB of memory.
import FiveBeansClient from 'fivebeans/lib/client.js'
import type { Address } from './address.ts'
import { reasonOf } from './reason.ts'

/** A job to put. */
export interface Job {
  readonly payload: Buffer
  readonly priority: number
  /** Seconds. */
  readonly delay: number
  /** Seconds. */
  readonly ttr: number
}

/** A connection that was opened. */
export interface BeanstalkdConnection {
  /**
   * Puts a job.
   *
   * @param job The job.
   * @param timeoutMs The longest that connecting and putting may take, in milliseconds.
   * @returns Nothing, once beanstalkd answered `INSERTED`.
   * @throws Error whose message is the reason.
   */
  put(job: Job, timeoutMs: number): Promise<void>
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
  const pending = new Set<(reason: string) => void>()
  const waiting: (() => void)[] = []
  let isReady = false
  let isSpoilt = false
  let idleTimer: NodeJS.Timeout | undefined

  function close(reason: string): void {
    isSpoilt = true
    clearTimeout(idleTimer)
    for (const giveUp of pending) {
      giveUp(reason)
    }
    client.stream?.destroy()
  }

  function settled(giveUp: (reason: string) => void): void {
    pending.delete(giveUp)
    if (pending.size === 0) {
      if (isSpoilt) {
        close('it is spoilt')
      } else {
        idleTimer = setTimeout(close, IDLE_MS, 'it was idle')
      }
    }
  }

  function put(job: Job, timeoutMs: number): Promise<void> {
    clearTimeout(idleTimer)
    return new Promise((resolve, reject) => {
      const end = (reason: string | null): void => {
        if (pending.has(giveUp)) {
          clearTimeout(timer)
          isSpoilt ||= reason !== null
          settled(giveUp)
          if (reason === null) {
            resolve()
          } else {
            reject(new Error(reason))
          }
        }
      }
      const giveUp = (reason: string): void => end(reason)
      const timer = setTimeout(end, timeoutMs, `no answer within ${timeoutMs} ms`)
      pending.add(giveUp)
      const write = (): void => {
        if (pending.has(giveUp)) {
          client.put(job.priority, job.delay, job.ttr, job.payload, (word) => end(answered(word)))
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

  client.on('error', (error: Error) => close(reasonOf(error)))
  client.on('close', () => close('the connection was closed'))
  client.on('connect', () => {
    client.use(tube, (word) => {
      if (word !== null) {
        close(answered(word) ?? '')
      } else {
        isReady = true
        for (const write of waiting.splice(0)) {
          write()
        }
      }
    })
    neverParseBodies(client)
  })
  client.connect()
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

/** The first word of an answer: beanstalkd's own (`DRAINING`, `JOB_TOO_BIG`) or anybody's. */
function answered(word: string | null): string | null {
  return word === null ? null : `the answer was ${JSON.stringify(word.slice(0, 100))}`
}
