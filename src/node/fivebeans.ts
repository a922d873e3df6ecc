// The notifier that puts messages on a beanstalkd tube, through fivebeans.

import fivebeans from 'fivebeans'
import { messageData } from '../messages.ts'
import type { DeploymentEvent, Notifier, Renderer } from '../ports.ts'
import { type Address, formatAddress, parseAddress } from './address.ts'

/** What {@link createFivebeansNotifier} needs to know. */
export interface FivebeansNotifierOptions {
  /** Where beanstalkd listens: `host:port`. */
  readonly addr: string
  /** The tube to put messages on. */
  readonly tube: string
  /** Makes the message. */
  readonly renderer: Renderer
  /** beanstalkd's priority, 0 (most urgent) to 4294967295. Default: 10. */
  readonly priority?: number
  /** After how many seconds the job may be reserved. Default: 0. */
  readonly delay?: number
  /** Time to run: how many seconds a worker may keep the job. Default: 60. */
  readonly ttr?: number
  /** The longest that connecting and putting one message may take, in ms. Default: 5000. */
  readonly timeoutMs?: number
}

/** A {@link Notifier} and its end. */
export interface FivebeansNotifier {
  readonly notify: Notifier
  /**
   * Waits for the messages that are under way, and gives up what is left.
   *
   * @param timeoutMs The longest to wait, in milliseconds.
   * @returns How many messages were given up.
   */
  close(timeoutMs: number): Promise<number>
}

interface Job {
  readonly payload: Buffer
  readonly priority: number
  readonly delay: number
  readonly ttr: number
}

/**
 * Makes a notifier that puts one job per event. Each job has a connection of its own, which is gone
 * when the job is put, refused or out of time.
 *
 * @param options Where to put what.
 * @returns The notifier; `notify` rejects with an error that names the tube and the reason.
 * @throws TypeError when `addr` is not `host:port`.
 * @example
 * ```ts
 * const renderer = createEtaRenderer('{{.ServiceName}} runs {{.Artifact}}')
 * const beanstalkd = createFivebeansNotifier({ addr: 'beanstalkd:11300', tube: 'chat', renderer })
 * createDeployer({ token, swarm, notifier: beanstalkd.notify })
 * ```
 */
export function createFivebeansNotifier(options: FivebeansNotifierOptions): FivebeansNotifier {
  const { addr, tube, renderer, priority = 10, delay = 0, ttr = 60, timeoutMs = 5000 } = options
  const address = checkedAddress(addr)
  const underWay = new Map<Promise<void>, AbortController>()

  async function notify(event: DeploymentEvent): Promise<void> {
    const payload = Buffer.from(renderer.render(messageData(event)))
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(`no answer within ${timeoutMs} ms`), timeoutMs)
    const putting = put({ address, tube, signal: abort.signal }, { payload, priority, delay, ttr })
    underWay.set(putting, abort)
    try {
      await putting
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const place = `tube "${tube}" of beanstalkd at ${formatAddress(address)}`
      throw new Error(`Cannot put the message on ${place}: ${reason}`, { cause })
    } finally {
      clearTimeout(timer)
      underWay.delete(putting)
    }
  }

  async function close(timeoutMs: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined
    const timeUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([Promise.allSettled(underWay.keys()), timeUp])
    clearTimeout(timer)
    const givenUp = underWay.size
    for (const abort of underWay.values()) {
      abort.abort('Deployer is shutting down')
    }
    return givenUp
  }

  return { notify, close }
}

function checkedAddress(addr: string): Address {
  const address = parseAddress(addr)
  if (address === undefined || address.host === '') {
    throw new TypeError(`Cannot use addr "${addr}": it must be host:port, such as beanstalkd:11300`)
  }
  return address
}

interface Destination {
  readonly address: Address
  readonly tube: string
  /** Ends the exchange; its reason says why. */
  readonly signal: AbortSignal
}

/**
 * One exchange: connect, `use`, `put`. A fresh client each time, since fivebeans never calls back a
 * command whose connection died and keeps its handler for the next one.
 */
function put({ address, tube, signal }: Destination, job: Job): Promise<void> {
  const client = new fivebeans.client(address.host, address.port)
  return new Promise<void>((resolve, reject) => {
    const fail = (reason: string): void => reject(new Error(reason))
    signal.addEventListener('abort', () => fail(String(signal.reason)))
    client.on('error', (error: Error) => fail(error.message))
    client.on('close', () => fail('the connection was closed'))
    client.on('connect', () => {
      client.use(tube, (refusal) => {
        if (refusal !== null) {
          fail(answered(refusal))
          return
        }
        client.put(job.priority, job.delay, job.ttr, job.payload, (refusal) => {
          if (refusal === null) {
            resolve()
          } else {
            fail(answered(refusal))
          }
        })
      })
    })
    guardParser(client, fail)
    client.connect()
  }).finally(() => client.stream?.destroy())
}

/** fivebeans parses some answers as YAML in a socket's event handler, where a throw ends the process. */
function guardParser(client: fivebeans.client, fail: (reason: string) => void): void {
  const parse = client.tryHandlingResponse.bind(client)
  client.tryHandlingResponse = () => {
    try {
      parse()
    } catch {
      fail('the answer makes no sense')
    }
  }
}

/** The first word of the answer: beanstalkd's own (`DRAINING`, `JOB_TOO_BIG`) or anybody's. */
function answered(word: string): string {
  return `the answer was ${JSON.stringify(word.slice(0, 100))}`
}
