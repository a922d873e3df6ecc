// `NOTIFY_FLAGS`: where messages go and what they say, as JSON.

import { parseGoTemplate } from '../go-template.ts'
import { messageFields } from '../messages.ts'
import { parseAddress } from './address.ts'
import { type Fault, shown } from './faults.ts'
import { isJobNumber, isTubeName, MAX_UINT32, TUBE_FORM } from './job-options.ts'
import { reasonOf } from './reason.ts'

/** Where messages go, and what they say. */
export interface NotifySettings {
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

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const EXAMPLE = '{"addr":"beanstalkd:11300","tube":"chat","template":"<base64>"}'

/**
 * Reads and checks `NOTIFY_FLAGS`. Keys that are not known are passed over, as the Go program did.
 *
 * @param text The variable's value.
 * @param fault Is told everything that is wrong.
 * @returns The settings, or undefined when something is wrong.
 */
export function readNotifyFlags(text: string, fault: Fault): NotifySettings | undefined {
  const flags = parseObject(text)
  if (flags === undefined) {
    return fault('NOTIFY_FLAGS', `is not a JSON object: it must be like ${EXAMPLE}`)
  }
  const addr = readAddr(flags.get('addr'), fault)
  const tube = readTube(flags.get('tube'), fault)
  const template = readTemplate(flags.get('template'), fault)
  const number = (key: string, standard: number, from: number): number | undefined => {
    const value = flags.get(key) ?? standard
    return isJobNumber(value, from)
      ? value
      : fault(
          `NOTIFY_FLAGS.${key}`,
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
    : { addr, tube, template, priority, delay, ttr }
}

function parseObject(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? new Map(Object.entries(value)) : undefined
  } catch {
    return undefined
  }
}

function readAddr(value: unknown, fault: Fault): string | undefined {
  const address = typeof value === 'string' ? parseAddress(value) : undefined
  return typeof value !== 'string' || address === undefined || address.host === ''
    ? fault(
        'NOTIFY_FLAGS.addr',
        `is ${shown(value)}: it must be host:port, such as beanstalkd:11300`,
      )
    : value
}

function readTube(value: unknown, fault: Fault): string | undefined {
  return typeof value === 'string' && isTubeName(value)
    ? value
    : fault('NOTIFY_FLAGS.tube', `is ${shown(value)}: it must be ${TUBE_FORM}`)
}

function readTemplate(value: unknown, fault: Fault): string | undefined {
  const remedy = 'encode the message with "base64 -w0"'
  if (value === undefined) {
    return fault('NOTIFY_FLAGS.template', `is missing: ${remedy}`)
  }
  // Go's decoder passes over line breaks too, which `base64` puts into long texts.
  const base64 = typeof value === 'string' ? value.replace(/[\r\n]/g, '') : ''
  if (typeof value !== 'string' || !BASE64.test(base64)) {
    return fault('NOTIFY_FLAGS.template', `is not base64: ${remedy}`)
  }
  try {
    // Go passes bytes through that are no UTF-8; JavaScript's strings cannot, so they are refused.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const template = decoder.decode(Buffer.from(base64, 'base64'))
    parseGoTemplate(template, { fields: messageFields })
    return template
  } catch (error) {
    return fault('NOTIFY_FLAGS.template', `cannot be used once decoded: ${reasonOf(error)}`)
  }
}
