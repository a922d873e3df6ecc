// The destination that puts messages on a beanstalkd tube.

import { DeliveryError, type DeliveryErrorOptions } from '../../notification/delivery-error.ts'
import {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
} from '../../notification/deployment-event.ts'
import type { Destination } from '../../notification/destination.ts'
import { messageData } from '../../notification/message-data.ts'
import type { Renderer } from '../../notification/renderer.ts'
import { errorMessage } from '../../text/error-message.ts'
import { type Address, formatAddress, parseAddress } from '../settings/address.ts'
import { shown } from '../settings/settings-issue.ts'
import { type BeanstalkdConnection, openConnection } from './beanstalkd-connection.ts'
import { isJobNumber, isTubeName, MAX_UINT32, TUBE_FORM } from './job-options.ts'

// Node makes 1 ms of more.
const MAX_TIMEOUT_MS = 2_147_483_647

/** What {@link createBeanstalkdDestination} needs to know. */
export interface BeanstalkdDestinationOptions {
  /** Where beanstalkd listens: `host:port`. */
  readonly addr: string
  /** The tube to put messages on. */
  readonly tube: string
  /**
   * Makes the message. An empty one is not sent, and counts as delivered, as in the Go program; white
   * space is sent.
   */
  readonly renderer: Renderer
  /** Names it in logs and counts. Default: `beanstalkd:<addr>/<tube>`. */
  readonly name?: string
  /** What it is told of. Default: `accepted`. */
  readonly events?: readonly DeploymentEventName[]
  /** beanstalkd's priority, 0 (most urgent) to 4294967295. Default: 10. */
  readonly priority?: number
  /** After how many seconds the job may be reserved. Default: 0. */
  readonly delay?: number
  /** Time to run: how many seconds a worker may keep the job. Default: 60. */
  readonly ttr?: number
  /** The longest that connecting and putting one message may take, in ms. Default: 5000. */
  readonly timeoutMs?: number
}

/**
 * Makes a destination that puts one job per event. Its connection is kept while there is work; after
 * any fault the next job gets a fresh one. Only a job that is too big, or a template that fails, is a
 * final fault; a job whose answer was lost is put again, and may be on the tube twice.
 *
 * @param options Where to put what.
 * @returns The destination.
 * @throws TypeError when `addr` is not `host:port`, `tube` is no name of a tube, `name` is empty or
 *   `events` has one that there is not.
 * @throws RangeError when a number is none that beanstalkd or a timer can take.
 * @example
 * ```ts
 * const renderer = createEtaRenderer('{{.ServiceName}} runs {{.Artifact}}')
 * const chat = createBeanstalkdDestination({ addr: 'beanstalkd:11300', tube: 'chat', renderer })
 * const outbox = createOutbox({ destinations: [chat], logger })
 * createDeployer({ token, swarm, logger, notifier: outbox.notify })
 * ```
 */
export function createBeanstalkdDestination(options: BeanstalkdDestinationOptions): Destination {
  const { addr, tube, renderer, priority = 10, delay = 0, ttr = 60, timeoutMs = 5000 } = options
  const { name = `beanstalkd:${addr}/${tube}`, events = ['accepted'] } = options
  const address = checkedAddress(addr)
  checkJobOptions({ tube, priority, delay, ttr, timeoutMs })
  checkNames(name, events)
  const underWay = new Map<Promise<void>, BeanstalkdConnection>()
  let current: BeanstalkdConnection | undefined

  function failed(cause: unknown, reason: string, isFinal: boolean): DeliveryError {
    const place = `tube "${tube}" of beanstalkd at ${formatAddress(address)}`
    const options: DeliveryErrorOptions = { cause, isFinal }
    return new DeliveryError(`Cannot put the message on ${place}: ${reason}`, options)
  }

  function render(event: DeploymentEvent): Buffer {
    try {
      return Buffer.from(renderer.render(messageData(event)))
    } catch (cause) {
      throw failed(cause, 'its template fails', true)
    }
  }

  async function deliver(event: DeploymentEvent, signal: AbortSignal): Promise<void> {
    const payload = render(event)
    if (payload.length === 0) {
      return
    }
    if (signal.aborted) {
      throw failed(signal.reason, 'it was called off', false)
    }
    if (current?.isUsable() !== true) {
      current = openConnection({ address, tube })
    }
    const putting = current.put({ payload, priority, delay, ttr }, { timeoutMs, signal })
    underWay.set(putting, current)
    try {
      await putting
    } catch (cause) {
      throw failed(cause, errorMessage(cause), cause instanceof DeliveryError && cause.isFinal)
    } finally {
      underWay.delete(putting)
    }
  }

  function close(): void {
    for (const connection of [current, ...underWay.values()]) {
      connection?.close('it was called off')
    }
  }

  return { name, events: [...events], deliver, close }
}

function checkedAddress(addr: string): Address {
  const address = parseAddress(addr)
  if (address === undefined || address.host === '') {
    throw new TypeError(
      `Cannot use addr ${shown(addr)}: it must be host:port, such as beanstalkd:11300`,
    )
  }
  return address
}

function checkJobOptions(
  options: Required<
    Pick<BeanstalkdDestinationOptions, 'tube' | 'priority' | 'delay' | 'ttr' | 'timeoutMs'>
  >,
): void {
  const { tube, ...numbers } = options
  if (!isTubeName(tube)) {
    throw new TypeError(`Cannot use tube ${JSON.stringify(tube)}: it must be ${TUBE_FORM}`)
  }
  for (const [name, value] of Object.entries(numbers)) {
    const from = name === 'priority' || name === 'delay' ? 0 : 1
    const most = name === 'timeoutMs' ? MAX_TIMEOUT_MS : MAX_UINT32
    if (!isJobNumber(value, from) || value > most) {
      throw new RangeError(
        `Cannot use ${name} ${value}: it must be a whole number from ${from} to ${most}`,
      )
    }
  }
}

function checkNames(name: string, events: readonly DeploymentEventName[]): void {
  if (name === '') {
    throw new TypeError('Cannot use name "": a destination needs one, for the log')
  }
  const unknown = events.find((event) => !deploymentEventNames.includes(event))
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot use event ${JSON.stringify(unknown)}: it must be one of ${deploymentEventNames.join(', ')}`,
    )
  }
}
