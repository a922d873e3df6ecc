// The notifier that puts messages on a beanstalkd tube.

import { messageData } from '../messages.ts'
import type { DeploymentEvent, Notifier, Renderer } from '../ports.ts'
import { type Address, formatAddress, parseAddress } from './address.ts'
import { type BeanstalkdConnection, openConnection } from './beanstalkd-connection.ts'
import { isJobNumber, isTubeName, MAX_UINT32, TUBE_FORM } from './job-options.ts'
import { reasonOf } from './reason.ts'

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
  /** Puts one job for an event; rejects with an error that names the tube and the reason. */
  readonly notify: Notifier
  /**
   * Waits for the messages that are under way, and gives up what is left.
   *
   * @param timeoutMs The longest to wait, in milliseconds.
   * @returns How many messages were given up.
   */
  close(timeoutMs: number): Promise<number>
}

/**
 * Makes a notifier that puts one job per event. Its connection is kept while there is work; after any
 * fault the next job gets a fresh one.
 *
 * @param options Where to put what.
 * @returns The notifier.
 * @throws TypeError when `addr` is not `host:port` or `tube` is no name of a tube.
 * @throws RangeError when a number is none that beanstalkd or a timer can take.
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
  checkJobOptions({ tube, priority, delay, ttr, timeoutMs })
  const underWay = new Map<Promise<void>, BeanstalkdConnection>()
  let current: BeanstalkdConnection | undefined

  async function notify(event: DeploymentEvent): Promise<void> {
    const payload = Buffer.from(renderer.render(messageData(event)))
    if (current?.isUsable() !== true) {
      current = openConnection({ address, tube })
    }
    const putting = current.put({ payload, priority, delay, ttr }, timeoutMs)
    underWay.set(putting, current)
    try {
      await putting
    } catch (cause) {
      const place = `tube "${tube}" of beanstalkd at ${formatAddress(address)}`
      throw new Error(`Cannot put the message on ${place}: ${reasonOf(cause)}`, { cause })
    } finally {
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
    for (const connection of [current, ...underWay.values()]) {
      connection?.close('Deployer is shutting down')
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

function checkJobOptions(
  options: Required<
    Pick<FivebeansNotifierOptions, 'tube' | 'priority' | 'delay' | 'ttr' | 'timeoutMs'>
  >,
): void {
  const { tube, ...numbers } = options
  if (!isTubeName(tube)) {
    throw new TypeError(`Cannot use tube ${JSON.stringify(tube)}: it must be ${TUBE_FORM}`)
  }
  for (const [name, value] of Object.entries(numbers)) {
    const from = name === 'priority' || name === 'delay' ? 0 : 1
    if (!isJobNumber(value, from)) {
      throw new RangeError(
        `Cannot use ${name} ${value}: it must be a whole number from ${from} to ${MAX_UINT32}`,
      )
    }
  }
}
