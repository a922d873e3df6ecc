// A destination of type `beanstalkd` in the settings.

import { isJobNumber, isTubeName, MAX_UINT32, TUBE_FORM } from '../beanstalkd/job-options.ts'
import { parseAddress } from './address.ts'
import { type NotifyEntry, readTemplate } from './notify-entry.ts'
import { type SettingsIssues, shown } from './settings-issue.ts'

/** A tube that receives messages. */
export interface BeanstalkdSettings {
  readonly type: 'beanstalkd'
  readonly addr: string
  readonly tube: string
  /** The decoded text of the template. */
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
 * Reads and checks the keys of a beanstalkd destination. Unknown keys are ignored with a warning, because
 * the Go program ignores them.
 *
 * @param entry The destination.
 * @param issues Where errors and warnings are collected.
 * @returns The settings; undefined, with errors among the issues, if one cannot be used.
 */
export function readBeanstalkd(
  entry: NotifyEntry,
  issues: SettingsIssues,
): BeanstalkdSettings | undefined {
  const { place, keys } = entry
  const unknown = [...keys.keys()].filter((key) => !KEYS.includes(key))
  if (unknown.length > 0) {
    issues.warn(
      place,
      `has unknown keys, which are ignored: ${shown(unknown)}; beanstalkd has only ${KEYS.join(', ')}`,
    )
  }
  const addr = readAddr(entry, issues)
  const tube = readTube(entry, issues)
  const template = readTemplate(entry, issues)
  const number = (key: string, defaultValue: number, minimum: number): number | undefined => {
    const value = keys.get(key) ?? defaultValue
    return isJobNumber(value, minimum)
      ? value
      : issues.error(
          `${place}.${key}`,
          `is ${shown(value)}: it must be a whole number from ${minimum} to ${MAX_UINT32}`,
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

function readAddr({ place, keys }: NotifyEntry, issues: SettingsIssues): string | undefined {
  const value = keys.get('addr')
  const address = typeof value === 'string' ? parseAddress(value) : undefined
  return typeof value !== 'string' || address === undefined || address.host === ''
    ? issues.error(
        `${place}.addr`,
        `is ${shown(value)}: it must be host:port, such as beanstalkd:11300`,
      )
    : value
}

function readTube({ place, keys }: NotifyEntry, issues: SettingsIssues): string | undefined {
  const value = keys.get('tube')
  return typeof value === 'string' && isTubeName(value)
    ? value
    : issues.error(`${place}.tube`, `is ${shown(value)}: it must be ${TUBE_FORM}`)
}
