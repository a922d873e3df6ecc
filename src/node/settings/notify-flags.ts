// `NOTIFY_FLAGS` and `NOTIFY_FLAGS_FILE`: the destinations of notifications, as JSON.

import {
  type DeploymentEventName,
  deploymentEventNames,
} from '../../notification/deployment-event.ts'
import { type BeanstalkdSettings, readBeanstalkd } from './notify-beanstalkd.ts'
import type { NotifyEntry } from './notify-entry.ts'
import { originOf, readWebhook, type WebhookSettings } from './notify-webhook.ts'
import { isJson, readSettingFile, type SettingSource } from './setting-source.ts'
import { type SettingsIssues, shown } from './settings-issue.ts'

/** A destination, its messages, and the events that it receives. */
export type NotifySettings = TargetSettings & {
  /** Unique among the destinations; not secret. */
  readonly name: string
  /** At least one, without duplicates. */
  readonly events: readonly DeploymentEventName[]
}

type TargetSettings = BeanstalkdSettings | WebhookSettings

/** The keys that every type of destination has. */
interface Common {
  /** Undefined: the settings contain no name. */
  readonly name: string | undefined
  readonly events: readonly DeploymentEventName[]
}

const EXAMPLE = '{"addr":"beanstalkd:11300","tube":"chat","template":"<base64>"}'
const MAX_DESTINATIONS = 16
const NAME = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,100}$/u

/**
 * Reads and checks the destinations from either setting.
 *
 * @param source The source of the settings.
 * @returns The destinations, none if neither setting is set; undefined, with errors among the issues,
 *   if one cannot be used.
 */
export function readNotifications(source: SettingSource): readonly NotifySettings[] | undefined {
  const { value, issues } = source
  const flags = value('NOTIFY_FLAGS')
  const path = value('NOTIFY_FLAGS_FILE')
  if (path === '') {
    return flags === '' ? [] : readNotifyFlags(flags, issues)
  }
  if (isJson(path)) {
    return issues.error(
      'NOTIFY_FLAGS_FILE',
      'is JSON, but it must be the path of a file: set NOTIFY_FLAGS to the JSON instead',
    )
  }
  if (flags !== '') {
    return issues.error('NOTIFY_FLAGS_FILE', 'is set, and so is NOTIFY_FLAGS: set only one of them')
  }
  const text = readSettingFile('NOTIFY_FLAGS_FILE', source)
  return text === undefined ? undefined : readNotifyFlags(text, issues, 'NOTIFY_FLAGS_FILE')
}

/**
 * Reads and checks the value of `NOTIFY_FLAGS`.
 *
 * @param text The JSON of one destination, or of an array of destinations.
 * @param issues Where errors and warnings are collected.
 * @param variable The name of the variable in errors and warnings.
 * @returns The destinations; undefined, with errors among the issues, if one cannot be used.
 */
export function readNotifyFlags(
  text: string,
  issues: SettingsIssues,
  variable = 'NOTIFY_FLAGS',
): readonly NotifySettings[] | undefined {
  const entries = readEntries(text, issues, variable)
  if (entries === undefined) {
    return undefined
  }
  // Both parts of every entry are read, even after an error, so that all errors are reported.
  const targets = entries.map((entry, index) => ({
    target: readTarget(entry, issues),
    common: readCommon(entry, entries.slice(0, index), issues),
  }))
  const whole = targets.flatMap(({ target, common }) =>
    target === undefined || common === undefined ? [] : [{ ...target, ...common }],
  )
  return whole.length === entries.length ? nameAll(whole) : undefined
}

function readEntries(
  text: string,
  issues: SettingsIssues,
  variable: string,
): readonly NotifyEntry[] | undefined {
  const value = parseJson(text)
  const values: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined
  if (values?.length === 0) {
    return issues.error(
      variable,
      'is an empty array: leave the variable unset for no notifications',
    )
  }
  if (values !== undefined && values.length > MAX_DESTINATIONS) {
    return issues.error(
      variable,
      `has ${values.length} destinations: the maximum is ${MAX_DESTINATIONS}`,
    )
  }
  const entries = (values ?? [value]).map((one, index) => {
    const place = values === undefined ? variable : `${variable}[${index}]`
    return typeof one === 'object' && one !== null && !Array.isArray(one)
      ? { place, keys: new Map(Object.entries(one)) }
      : issues.error(
          place,
          `is not a JSON object${values === undefined ? ' or an array of JSON objects' : ''}: it must be like ${EXAMPLE}`,
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

function readTarget(entry: NotifyEntry, issues: SettingsIssues): TargetSettings | undefined {
  const { place, keys } = entry
  const type = keys.has('type') ? keys.get('type') : 'beanstalkd'
  if (!keys.has('type') && !keys.has('addr') && keys.has('url')) {
    return issues.error(`${place}.type`, 'is missing: with "url" it must be webhook')
  }
  switch (type) {
    case 'beanstalkd':
      return readBeanstalkd(entry, issues)
    case 'webhook':
      return readWebhook(entry, issues)
    default:
      return issues.error(`${place}.type`, `is ${shown(type)}: it must be beanstalkd or webhook`)
  }
}

function readCommon(
  entry: NotifyEntry,
  earlier: readonly NotifyEntry[],
  issues: SettingsIssues,
): Common | undefined {
  const events = readEvents(entry, issues)
  const hasName = readName(entry, earlier, issues)
  const name = entry.keys.get('name')
  return events === undefined || !hasName
    ? undefined
    : { events, name: typeof name === 'string' ? name : undefined }
}

function readEvents(
  { place, keys }: NotifyEntry,
  issues: SettingsIssues,
): readonly DeploymentEventName[] | undefined {
  const value = keys.has('events') ? keys.get('events') : ['accepted']
  const names: readonly unknown[] = Array.isArray(value) ? value : []
  const events = deploymentEventNames.filter((event) => names.includes(event))
  return names.length > 0 && events.length === names.length
    ? events
    : issues.error(
        `${place}.events`,
        `is ${shown(value)}: it must be an array of at least one of ${deploymentEventNames.join(', ')}, each once`,
      )
}

/** Returns whether the name can be used or is missing. */
function readName(
  { place, keys }: NotifyEntry,
  earlier: readonly NotifyEntry[],
  issues: SettingsIssues,
): boolean {
  const name = keys.get('name')
  if (!keys.has('name')) {
    return true
  }
  if (typeof name !== 'string' || !NAME.test(name) || name.trim() !== name) {
    issues.error(
      `${place}.name`,
      `is ${shown(name)}: it must be 1 to 100 printable characters, without white space at an end`,
    )
    return false
  }
  const duplicate = earlier.find((other) => other.keys.get('name') === name)
  if (duplicate !== undefined) {
    issues.error(
      `${place}.name`,
      `is ${shown(name)}, and so is ${duplicate.place}.name: give each destination a unique name`,
    )
  }
  return duplicate === undefined
}

/** Gives each destination without a name a unique one. */
function nameAll(settings: readonly (TargetSettings & Common)[]): readonly NotifySettings[] {
  const taken = new Set(settings.map(({ name }) => name))
  return settings.map((one) => {
    const name = one.name ?? freeName(defaultName(one), taken)
    taken.add(name)
    return { ...one, name }
  })
}

function defaultName(target: TargetSettings): string {
  switch (target.type) {
    case 'beanstalkd':
      return `beanstalkd:${target.addr}/${target.tube}`
    case 'webhook':
      return `webhook:${originOf(target.url)}`
  }
}

function freeName(base: string, taken: ReadonlySet<string | undefined>): string {
  let name = base
  for (let number = 2; taken.has(name); number += 1) {
    name = `${base}#${number}`
  }
  return name
}
