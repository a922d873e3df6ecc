// One destination in the settings, and the template that any of them can have.

import { parseGoTemplate } from '../../go-template/index.ts'
import { messageFields } from '../../notification/message-data.ts'
import { errorMessage } from '../../text/error-message.ts'
import type { SettingsIssue } from './settings-issue.ts'

/** One destination, as it was written. */
export interface NotifyEntry {
  /** Its place, for faults: `NOTIFY_FLAGS` or `NOTIFY_FLAGS[1]`. */
  readonly place: string
  readonly keys: ReadonlyMap<string, unknown>
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Reads and checks `template`.
 *
 * @param entry The destination.
 * @param fault Is told what is wrong.
 * @returns The template's text, decoded; undefined when something is wrong.
 */
export function readTemplate(
  { place, keys }: NotifyEntry,
  fault: SettingsIssue,
): string | undefined {
  const value = keys.get('template')
  const remedy = 'encode the message with "base64 -w0"'
  if (value === undefined) {
    return fault(`${place}.template`, `is missing: ${remedy}`)
  }
  // Go's decoder passes over line breaks too, which `base64` puts into long texts.
  const base64 = typeof value === 'string' ? value.replace(/[\r\n]/g, '') : ''
  if (typeof value !== 'string' || !BASE64.test(base64)) {
    return fault(`${place}.template`, `is not base64: ${remedy}`)
  }
  try {
    // Go passes bytes through that are no UTF-8; JavaScript's strings cannot, so they are refused.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const template = decoder.decode(Buffer.from(base64, 'base64'))
    parseGoTemplate(template, { fields: messageFields })
    return template
  } catch (error) {
    return fault(`${place}.template`, `cannot be used once decoded: ${errorMessage(error)}`)
  }
}
