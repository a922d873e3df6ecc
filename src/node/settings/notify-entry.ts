// An entry of `NOTIFY_FLAGS`, and the template that every type of destination can have.

import { parseGoTemplate } from '../../go-template/index.ts'
import { messageFields } from '../../notification/message-data.ts'
import { errorMessage } from '../../text/error-message.ts'
import type { SettingsIssues } from './settings-issue.ts'

/** One destination, as written in the settings. */
export interface NotifyEntry {
  /** Where it is, for errors: `NOTIFY_FLAGS` or `NOTIFY_FLAGS[1]`. */
  readonly place: string
  readonly keys: ReadonlyMap<string, unknown>
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Reads and checks `template`.
 *
 * @param entry The destination.
 * @param issues Where errors are collected.
 * @returns The decoded text; undefined, with an error among the issues, if it cannot be used.
 */
export function readTemplate(
  { place, keys }: NotifyEntry,
  issues: SettingsIssues,
): string | undefined {
  const value = keys.get('template')
  const remedy = 'encode the message with "base64 -w0"'
  if (value === undefined) {
    return issues.error(`${place}.template`, `is missing: ${remedy}`)
  }
  // `base64` breaks long lines; Go's decoder ignores line breaks too.
  const base64 = typeof value === 'string' ? value.replace(/[\r\n]/g, '') : ''
  if (typeof value !== 'string' || !BASE64.test(base64)) {
    return issues.error(`${place}.template`, `is not base64: ${remedy}`)
  }
  try {
    // Go keeps bytes that are not UTF-8. JavaScript's strings cannot hold them, so they are an error.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const template = decoder.decode(Buffer.from(base64, 'base64'))
    parseGoTemplate(template, { fields: messageFields })
    return template
  } catch (error) {
    return issues.error(
      `${place}.template`,
      `is base64, but the decoded template cannot be used: ${errorMessage(error)}`,
    )
  }
}
