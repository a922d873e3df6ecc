// `NOTIFY_FLAGS`: where messages go, what they tell of and what they say, as JSON.

import {
  type DeploymentEventName,
  deploymentEventNames,
} from '../../notification/deployment-event.ts'
import { type BeanstalkdSettings, readBeanstalkd } from './notify-beanstalkd.ts'
import type { NotifyEntry } from './notify-entry.ts'
import { originOf, readWebhook, type WebhookSettings } from './notify-webhook.ts'
import { type Findings, type SettingsIssue, shown } from './settings-issue.ts'

/** Where messages go, what they tell of and what they say. */
export type NotifySettings = TargetSettings & {
  /** No other destination's; nothing secret. */
  readonly name: string
  /** At least one, each once. */
  readonly events: readonly DeploymentEventName[]
}

type TargetSettings = BeanstalkdSettings | WebhookSettings

/** The name is undefined where the settings give none. */
interface Common {
  readonly name: string | undefined
  readonly events: readonly DeploymentEventName[]
}

const EXAMPLE = '{"addr":"beanstalkd:11300","tube":"chat","template":"<base64>"}'
const MAX_DESTINATIONS = 16
const NAME = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,100}$/u

/**
 * Reads and checks `NOTIFY_FLAGS`.
 *
 * @param text The variable's value: the JSON of one destination, or of an array of them.
 * @param findings Takes everything that is wrong, or probably a mistake.
 * @param variable What faults call the variable.
 * @returns The destinations, or undefined when something is wrong.
 */
export function readNotifyFlags(
  text: string,
  findings: Findings,
  variable = 'NOTIFY_FLAGS',
): readonly NotifySettings[] | undefined {
  const { fault } = findings
  const entries = readEntries(text, fault, variable)
  if (entries === undefined) {
    return undefined
  }
  // Not one after another with the next step: all faults are told.
  const targets = entries.map((entry, index) => ({
    target: readTarget(entry, findings),
    common: readCommon(entry, entries.slice(0, index), fault),
  }))
  const whole = targets.flatMap(({ target, common }) =>
    target === undefined || common === undefined ? [] : [{ ...target, ...common }],
  )
  return whole.length === entries.length ? nameAll(whole) : undefined
}

function readEntries(
  text: string,
  fault: SettingsIssue,
  variable: string,
): readonly NotifyEntry[] | undefined {
  const value = parseJson(text)
  const values: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined
  if (values?.length === 0) {
    return fault(variable, 'is an empty array: leave it unset when nobody is to be notified')
  }
  if (values !== undefined && values.length > MAX_DESTINATIONS) {
    return fault(variable, `has ${values.length} destinations: at most ${MAX_DESTINATIONS} can be`)
  }
  const entries = (values ?? [value]).map((one, index) => {
    const place = values === undefined ? variable : `${variable}[${index}]`
    return typeof one === 'object' && one !== null && !Array.isArray(one)
      ? { place, keys: new Map(Object.entries(one)) }
      : fault(
          place,
          `is not a JSON object${values === undefined ? ' or an array of some' : ''}: it must be like ${EXAMPLE}`,
        )
  })
  const read = entries.filter((entry) => entry !== undefined)
  return read.length === entries.length ? read : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readTarget(entry: NotifyEntry, findings: Findings): TargetSettings | undefined {
  const { place, keys } = entry
  const { fault } = findings
  const type = keys.has('type') ? keys.get('type') : 'beanstalkd'
  if (!keys.has('type') && !keys.has('addr') && keys.has('url')) {
    return fault(`${place}.type`, 'is missing: with "url" it must be webhook')
  }
  switch (type) {
    case 'beanstalkd':
      return readBeanstalkd(entry, findings)
    case 'webhook':
      return readWebhook(entry, fault)
    default:
      return fault(`${place}.type`, `is ${shown(type)}: it must be beanstalkd or webhook`)
  }
}

function readCommon(
  entry: NotifyEntry,
  earlier: readonly NotifyEntry[],
  fault: SettingsIssue,
): Common | undefined {
  const events = readEvents(entry, fault)
  const hasName = readName(entry, earlier, fault)
  const name = entry.keys.get('name')
  return events === undefined || !hasName
    ? undefined
    : { events, name: typeof name === 'string' ? name : undefined }
}

function readEvents(
  { place, keys }: NotifyEntry,
  fault: SettingsIssue,
): readonly DeploymentEventName[] | undefined {
  const value = keys.has('events') ? keys.get('events') : ['accepted']
  const names: readonly unknown[] = Array.isArray(value) ? value : []
  const events = deploymentEventNames.filter((event) => names.includes(event))
  return names.length > 0 && events.length === names.length
    ? events
    : fault(
        `${place}.events`,
        `is ${shown(value)}: it must be an array of at least one of ${deploymentEventNames.join(', ')}, each once`,
      )
}

/** Returns whether the name, given or not, can be used. */
function readName(
  { place, keys }: NotifyEntry,
  earlier: readonly NotifyEntry[],
  fault: SettingsIssue,
): boolean {
  const name = keys.get('name')
  if (!keys.has('name')) {
    return true
  }
  if (typeof name !== 'string' || !NAME.test(name) || name.trim() !== name) {
    fault(
      `${place}.name`,
      `is ${shown(name)}: it must be 1 to 100 printable characters, without white space at an end`,
    )
    return false
  }
  const twin = earlier.find((other) => other.keys.get('name') === name)
  if (twin !== undefined) {
    fault(
      `${place}.name`,
      `is ${shown(name)}, and so is ${twin.place}.name: give each destination a name of its own`,
    )
  }
  return twin === undefined
}

/** Names those that have no name, and none like another. */
function nameAll(settings: readonly (TargetSettings & Common)[]): readonly NotifySettings[] {
  const taken = new Set(settings.map(({ name }) => name))
  return settings.map((one) => {
    const name = one.name ?? freeName(standardName(one), taken)
    taken.add(name)
    return { ...one, name }
  })
}

function standardName(target: TargetSettings): string {
  switch (target.type) {
    case 'beanstalkd':
      return `beanstalkd:${target.addr}/${target.tube}`
    case 'webhook':
      return `webhook:${originOf(target.url)}`
  }
}

function freeName(standard: string, taken: ReadonlySet<string | undefined>): string {
  let name = standard
  for (let number = 2; taken.has(name); number += 1) {
    name = `${standard}#${number}`
  }
  return name
}
