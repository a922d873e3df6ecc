// A destination of type `webhook` in the settings. No message shows possible secrets: the path and the
// query of `url`, the values of `headers`, and `secret`.

import { isHeaderValue } from '../../http/auth.ts'
import type { Renderer } from '../../notification/renderer.ts'
import { createWebhook, type WebhookOptions } from '../../notification/webhook/webhook.ts'
import { urlTemplateError } from '../../notification/webhook/webhook-url.ts'
import { errorMessage } from '../../text/error-message.ts'
import { createEtaRenderer } from '../eta-renderer.ts'
import { type NotifyEntry, readTemplate } from './notify-entry.ts'
import { type SettingsIssues, shown } from './settings-issue.ts'

/** A URL that receives messages. */
export interface WebhookSettings {
  readonly type: 'webhook'
  /** A URL or a template of one. */
  readonly url: string
  readonly method: WebhookMethod
  readonly headers: Readonly<Record<string, string>>
  /** The decoded text of the template. Undefined: the default body is sent. */
  readonly template?: string
  /** Undefined: messages are not signed. */
  readonly secret?: string
}

type WebhookMethod = NonNullable<WebhookOptions['method']>

const METHODS: readonly WebhookMethod[] = ['POST', 'PUT', 'PATCH']
const KEYS: readonly string[] = [
  ...['type', 'url', 'method', 'headers', 'template', 'secret'],
  ...['events', 'name'],
]

/**
 * Reads and checks the keys of a webhook destination. An unknown key is an error: a spelling mistake
 * would otherwise be noticed only when a message is missing.
 *
 * @param entry The destination.
 * @param issues Where errors are collected.
 * @returns The settings; undefined, with errors among the issues, if one cannot be used.
 */
export function readWebhook(
  entry: NotifyEntry,
  issues: SettingsIssues,
): WebhookSettings | undefined {
  const { place, keys } = entry
  const unknown = [...keys.keys()].filter((key) => !KEYS.includes(key))
  for (const key of unknown) {
    issues.error(place, `has a key ${shown(key)}, but a webhook has only ${KEYS.join(', ')}`)
  }
  const url = readUrl(entry, issues)
  const method = readMethod(entry, issues)
  const headers = readHeaders(entry, issues)
  const template = keys.has('template') ? readTemplate(entry, issues) : ''
  const secret = keys.has('secret') ? readSecret(entry, issues) : ''
  return unknown.length > 0 ||
    url === undefined ||
    method === undefined ||
    headers === undefined ||
    template === undefined ||
    secret === undefined
    ? undefined
    : {
        ...{ type: 'webhook', url, method, headers },
        ...(keys.has('template') ? { template } : {}),
        ...(keys.has('secret') ? { secret } : {}),
      }
}

/**
 * Compiles a URL that may be a template.
 *
 * @param url The URL.
 * @returns The `url` option of the webhook: the URL itself, or a renderer of the template.
 * @throws TemplateError if the template is invalid.
 */
export function compileUrl(url: string): string | Renderer {
  return url.includes('{{') ? createEtaRenderer(url) : url
}

/**
 * Extracts the part of a URL that is not secret.
 *
 * @param url A URL that {@link readWebhook} accepted.
 * @returns The origin, such as `https://hooks.slack.com`.
 */
export function originOf(url: string): string {
  const [fixed = ''] = url.split('{{')
  return new URL(fixed).origin
}

function readUrl({ place, keys }: NotifyEntry, issues: SettingsIssues): string | undefined {
  const url = keys.get('url')
  if (typeof url !== 'string') {
    const problem = url === undefined ? 'is missing' : 'is not a string'
    return issues.error(
      `${place}.url`,
      `${problem}: it must be like https://hooks.example.com/deployments`,
    )
  }
  const reason = urlError(url)
  return reason === undefined ? url : issues.error(`${place}.url`, `cannot be used: ${reason}`)
}

function urlError(text: string): string | undefined {
  try {
    return urlTemplateError(text) ?? optionError({ url: compileUrl(text) })
  } catch (error) {
    return errorMessage(error)
  }
}

function readMethod(
  { place, keys }: NotifyEntry,
  issues: SettingsIssues,
): WebhookMethod | undefined {
  const value = keys.has('method') ? keys.get('method') : 'POST'
  return (
    METHODS.find((method) => method === value) ??
    issues.error(`${place}.method`, `is ${shown(value)}: it must be POST, PUT or PATCH`)
  )
}

function readHeaders(
  { place, keys }: NotifyEntry,
  issues: SettingsIssues,
): Readonly<Record<string, string>> | undefined {
  const value = keys.has('headers') ? keys.get('headers') : {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return issues.error(
      `${place}.headers`,
      'is not an object of strings, such as {"Authorization": "…"}',
    )
  }
  const headers: readonly (readonly [string, unknown])[] = Object.entries(value)
  const read = headers.flatMap(([name, text]): readonly (readonly [string, string])[] => {
    const reason = typeof text === 'string' ? headerError(name, text) : 'its value is not a string'
    if (typeof text === 'string' && reason === undefined) {
      return [[name, text]]
    }
    issues.error(`${place}.headers`, `has ${shown(name)}, which cannot be used: ${reason}`)
    return []
  })
  return read.length === headers.length ? Object.fromEntries(read) : undefined
}

function headerError(name: string, value: string): string | undefined {
  // `Headers` accepts control characters, but `fetch` does not.
  return isHeaderValue(value)
    ? optionError({ headers: { [name]: value } })
    : 'a header cannot contain a line break or another control character, or begin or end with white space'
}

function readSecret({ place, keys }: NotifyEntry, issues: SettingsIssues): string | undefined {
  const secret = keys.get('secret')
  const reason = typeof secret === 'string' ? optionError({ secret }) : 'it is not a string'
  return typeof secret === 'string' && reason === undefined
    ? secret
    : issues.error(`${place}.secret`, `cannot be used: ${reason}`)
}

/** The error of the webhook itself for an option; its messages show no values. */
function optionError(option: Partial<WebhookOptions>): string | undefined {
  try {
    createWebhook({ name: 'webhook', url: 'http://localhost/', ...option })
    return undefined
  } catch (error) {
    return errorMessage(error).replace(/^Cannot use `\w+`: /, '')
  }
}
