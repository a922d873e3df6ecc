// A destination of type `webhook` in the settings. What may be secret is never shown: the path and
// query of `url`, the values of `headers`, `secret`.

import { isHeaderValue } from '../../http/auth.ts'
import type { Renderer } from '../../notification/renderer.ts'
import { createWebhook, type WebhookOptions } from '../../notification/webhook/webhook.ts'
import { urlTemplateError } from '../../notification/webhook/webhook-url.ts'
import { errorMessage } from '../../text/error-message.ts'
import { createEtaRenderer } from '../eta-renderer.ts'
import { type NotifyEntry, readTemplate } from './notify-entry.ts'
import { type SettingsIssue, shown } from './settings-issue.ts'

/** A URL that messages go to. */
export interface WebhookSettings {
  readonly type: 'webhook'
  /** Perhaps a template. */
  readonly url: string
  readonly method: WebhookMethod
  readonly headers: Readonly<Record<string, string>>
  /** The template's text, decoded. Missing: the default body is sent. */
  readonly template?: string
  /** Missing: nothing is signed. */
  readonly secret?: string
}

type WebhookMethod = NonNullable<WebhookOptions['method']>

const METHODS: readonly WebhookMethod[] = ['POST', 'PUT', 'PATCH']
const KEYS: readonly string[] = [
  ...['type', 'url', 'method', 'headers', 'template', 'secret'],
  ...['events', 'name'],
]

/**
 * Reads and checks what is a webhook's. A key that is not known is a fault: a slip of the pen would
 * go unnoticed until a message is missed.
 *
 * @param entry The destination.
 * @param fault Is told everything that is wrong.
 * @returns The settings, or undefined when something is wrong.
 */
export function readWebhook(entry: NotifyEntry, fault: SettingsIssue): WebhookSettings | undefined {
  const { place, keys } = entry
  const unknown = [...keys.keys()].filter((key) => !KEYS.includes(key))
  for (const key of unknown) {
    fault(place, `has a key ${shown(key)}, but a webhook has only ${KEYS.join(', ')}`)
  }
  const url = readUrl(entry, fault)
  const method = readMethod(entry, fault)
  const headers = readHeaders(entry, fault)
  const template = keys.has('template') ? readTemplate(entry, fault) : ''
  const secret = keys.has('secret') ? readSecret(entry, fault) : ''
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
 * Compiles a URL that is a template.
 *
 * @param url The URL.
 * @returns What the webhook is given for it.
 * @throws TemplateError when the template is wrong.
 */
export function compileUrl(url: string): string | Renderer {
  return url.includes('{{') ? createEtaRenderer(url) : url
}

/**
 * Tells where a URL leads, as far as that is no secret.
 *
 * @param url A URL that {@link readWebhook} let in.
 * @returns Such as `https://hooks.slack.com`.
 */
export function originOf(url: string): string {
  const [fixed = ''] = url.split('{{')
  return new URL(fixed).origin
}

function readUrl({ place, keys }: NotifyEntry, fault: SettingsIssue): string | undefined {
  const url = keys.get('url')
  if (typeof url !== 'string') {
    const what = url === undefined ? 'is missing' : 'is not a string'
    return fault(`${place}.url`, `${what}: it must be like https://hooks.example.com/deployments`)
  }
  const wrong = urlFault(url)
  return wrong === undefined ? url : fault(`${place}.url`, `cannot be used: ${wrong}`)
}

function urlFault(text: string): string | undefined {
  try {
    return urlTemplateError(text) ?? refusal({ url: compileUrl(text) })
  } catch (error) {
    return errorMessage(error)
  }
}

function readMethod({ place, keys }: NotifyEntry, fault: SettingsIssue): WebhookMethod | undefined {
  const value = keys.has('method') ? keys.get('method') : 'POST'
  return (
    METHODS.find((method) => method === value) ??
    fault(`${place}.method`, `is ${shown(value)}: it must be POST, PUT or PATCH`)
  )
}

function readHeaders(
  { place, keys }: NotifyEntry,
  fault: SettingsIssue,
): Readonly<Record<string, string>> | undefined {
  const value = keys.has('headers') ? keys.get('headers') : {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fault(`${place}.headers`, 'is not an object of strings, such as {"Authorization": "…"}')
  }
  const headers: readonly (readonly [string, unknown])[] = Object.entries(value)
  const read = headers.flatMap(([name, text]): readonly (readonly [string, string])[] => {
    const wrong = typeof text === 'string' ? headerFault(name, text) : 'its value is not a string'
    if (typeof text === 'string' && wrong === undefined) {
      return [[name, text]]
    }
    fault(`${place}.headers`, `has ${shown(name)}, which cannot be used: ${wrong}`)
    return []
  })
  return read.length === headers.length ? Object.fromEntries(read) : undefined
}

function headerFault(name: string, value: string): string | undefined {
  // `Headers` takes control characters, `fetch` does not.
  return isHeaderValue(value)
    ? refusal({ headers: { [name]: value } })
    : 'no header can hold a line break, another control character or white space at an end'
}

function readSecret({ place, keys }: NotifyEntry, fault: SettingsIssue): string | undefined {
  const secret = keys.get('secret')
  const wrong = typeof secret === 'string' ? refusal({ secret }) : 'it is not a string'
  return typeof secret === 'string' && wrong === undefined
    ? secret
    : fault(`${place}.secret`, `cannot be used: ${wrong}`)
}

/** What the webhook itself has against an option; its messages show no values. */
function refusal(option: Partial<WebhookOptions>): string | undefined {
  try {
    createWebhook({ name: 'webhook', url: 'http://localhost/', ...option })
    return undefined
  } catch (error) {
    return errorMessage(error).replace(/^Cannot use `\w+`: /, '')
  }
}
