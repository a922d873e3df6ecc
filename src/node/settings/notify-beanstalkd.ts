// A destination of type `beanstalkd` in the settings.

import { isJobNumber, isTubeName, MAX_UINT32, TUBE_FORM } from '../beanstalkd/job-options.ts'
import { parseAddress } from './address.ts'
import { type NotifyEntry, readTemplate } from './notify-entry.ts'
import { type Findings, type SettingsIssue, shown } from './settings-issue.ts'

/** A tube that messages go to. */
export interface BeanstalkdSettings {
  readonly type: 'beanstalkd'
  readonly addr: string
  readonly tube: string
  /** The template's text, decoded. */
  readonly template: string
  readonly priority: number
  /** Seconds. */
  readonly delay: number
  /** Seconds. */
  readonly ttr: number
}

const KEYS: readonly string[] = [
  ...['type', 'addr', 'tube', 'template', 'priority', 'delay', 'ttr'],
  ...['events', 'name'],
]

/**
 * Reads and checks what is beanstalkd's. Unknown keys are ignored, as the Go program ignores them,
 * with a warning.
 *
 * @param entry The destination.
 * @param findings Takes everything that is wrong, or probably a mistake.
 * @returns The settings, or undefined when something is wrong.
 */
export function readBeanstalkd(
  entry: NotifyEntry,
  { fault, warn }: Findings,
): BeanstalkdSettings | undefined {
  const { place, keys } = entry
  const unknown = [...keys.keys()].filter((key) => !KEYS.includes(key))
  if (unknown.length > 0) {
    warn(
      place,
      `has unknown keys, which are ignored: ${shown(unknown)}; beanstalkd has only ${KEYS.join(', ')}`,
    )
  }
  const addr = readAddr(entry, fault)
  const tube = readTube(entry, fault)
  const template = readTemplate(entry, fault)
  const number = (key: string, standard: number, from: number): number | undefined => {
    const value = keys.get(key) ?? standard
    return isJobNumber(value, from)
      ? value
      : fault(
          `${place}.${key}`,
          `is ${shown(value)}: it must be a whole number from ${from} to ${MAX_UINT32}`,
        )
  }
  const priority = number('priority', 10, 0)
  const delay = number('delay', 0, 0)
  const ttr = number('ttr', 60, 1)
  return addr === undefined ||
    tube === undefined ||
    template === undefined ||
    priority === undefined ||
    delay === undefined ||
    ttr === undefined
    ? undefined
    : { type: 'beanstalkd', addr, tube, template, priority, delay, ttr }
}

function readAddr({ place, keys }: NotifyEntry, fault: SettingsIssue): string | undefined {
  const value = keys.get('addr')
  const address = typeof value === 'string' ? parseAddress(value) : undefined
  return typeof value !== 'string' || address === undefined || address.host === ''
    ? fault(`${place}.addr`, `is ${shown(value)}: it must be host:port, such as beanstalkd:11300`)
    : value
}

function readTube({ place, keys }: NotifyEntry, fault: SettingsIssue): string | undefined {
  const value = keys.get('tube')
  return typeof value === 'string' && isTubeName(value)
    ? value
    : fault(`${place}.tube`, `is ${shown(value)}: it must be ${TUBE_FORM}`)
}
