// A destination that puts messages on a beanstalkd tube.

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
import { checkOptionNames } from '../../text/option-names.ts'
import { type Address, formatAddress, parseAddress } from '../settings/address.ts'
import { shown } from '../settings/settings-issue.ts'
import { type BeanstalkdConnection, openConnection } from './beanstalkd-connection.ts'
import { isJobNumber, isTubeName, MAX_UINT32, TUBE_FORM } from './job-options.ts'

// Node uses 1 ms for a longer timeout.
const MAX_TIMEOUT_MS = 2_147_483_647

/** Options of {@link createBeanstalkdDestination}. */
export interface BeanstalkdDestinationOptions {
  /** The address of beanstalkd: `host:port`. */
  readonly addr: string
  /** The tube for the messages. */
  readonly tube: string
  /**
   * Renders the message. As in the Go program, an empty message is not sent and counts as delivered; white
   * space is sent.
   */
  readonly renderer: Renderer
  /** The name in logs and counts. Default: `beanstalkd:<addr>/<tube>`. */
  readonly name?: string
  /** The events that it receives. Default: `accepted`. */
  readonly events?: readonly DeploymentEventName[]
  /** The priority of the job, from 0 (most urgent) to 4294967295. Default: 10. */
  readonly priority?: number
  /** The time until a worker can reserve the job, in seconds. Default: 0. */
  readonly delay?: number
  /** Time to run: how long a worker may keep the job, in seconds. Default: 60. */
  readonly ttr?: number
  /** How long connecting and putting one message may take, in milliseconds. Default: 5000. */
  readonly timeoutMs?: number
}

const OPTIONS: Readonly<Record<keyof BeanstalkdDestinationOptions, true>> = {
  addr: true,
  tube: true,
  renderer: true,
  name: true,
  events: true,
  priority: true,
  delay: true,
  ttr: true,
  timeoutMs: true,
}

/**
 * Creates a destination that puts one job per event. The connection is kept while there is work. After any
 * error the next job gets a new connection. Only a job that is too big and a template that fails are final
 * errors. A job whose answer is lost is put again, so it can be on the tube twice.
 *
 * @param options The tube, and the properties of jobs.
 * @returns The destination.
 * @throws TypeError if `addr` is not `host:port`, `tube` is not a valid name, `name` is empty or `events`
 *   contains an unknown event, or an option is unknown.
 * @throws RangeError if a number is out of the range of beanstalkd or of a timer.
 * @example
 * ```ts
 * const renderer = createEtaRenderer('{{.ServiceName}} runs {{.Artifact}}')
 * const chat = createBeanstalkdDestination({ addr: 'beanstalkd:11300', tube: 'chat', renderer })
 * const outbox = createOutbox({ destinations: [chat], logger })
 * createDeployer({ token, swarm, logger, notifier: outbox.notify })
 * ```
 */
export function createBeanstalkdDestination(options: BeanstalkdDestinationOptions): Destination {
  checkOptionNames(options, Object.keys(OPTIONS))
  const { addr, tube, renderer, priority = 10, delay = 0, ttr = 60, timeoutMs = 5000 } = options
  const { name = `beanstalkd:${addr}/${tube}`, events = ['accepted'] } = options
  const address = checkedAddress(addr)
  checkJobOptions({ tube, priority, delay, ttr, timeoutMs })
  checkNames(name, events)
  const inProgress = new Map<Promise<void>, BeanstalkdConnection>()
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
      throw failed(signal.reason, 'it was cancelled', false)
    }
    if (current?.isUsable() !== true) {
      current = openConnection({ address, tube })
    }
    const putting = current.put({ payload, priority, delay, ttr }, { timeoutMs, signal })
    inProgress.set(putting, current)
    try {
      await putting
    } catch (cause) {
      throw failed(cause, errorMessage(cause), cause instanceof DeliveryError && cause.isFinal)
    } finally {
      inProgress.delete(putting)
    }
  }

  function close(): void {
    for (const connection of [current, ...inProgress.values()]) {
      connection?.close('it was cancelled')
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
    const minimum = name === 'priority' || name === 'delay' ? 0 : 1
    const maximum = name === 'timeoutMs' ? MAX_TIMEOUT_MS : MAX_UINT32
    if (!isJobNumber(value, minimum) || value > maximum) {
      throw new RangeError(
        `Cannot use ${name} ${value}: it must be a whole number from ${minimum} to ${maximum}`,
      )
    }
  }
}

function checkNames(name: string, events: readonly DeploymentEventName[]): void {
  if (name === '') {
    throw new TypeError('Cannot use name "": a destination needs a name for the log')
  }
  const unknown = events.find((event) => !deploymentEventNames.includes(event))
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot use event ${JSON.stringify(unknown)}: it must be one of ${deploymentEventNames.join(', ')}`,
    )
  }
}
