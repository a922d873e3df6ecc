// A destination that receives HTTP requests, signed as Standard Webhooks defines it.

import { onAbort } from '../../async/abort.ts'
import { checkOptionNames } from '../../text/option-names.ts'
import { DeliveryError } from '../delivery-error.ts'
import {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
} from '../deployment-event.ts'
import type { Destination } from '../destination.ts'
import { messageData } from '../message-data.ts'
import type { Renderer } from '../renderer.ts'
import { innermost, networkErrorMessage } from './network-error.ts'
import { defaultBody } from './webhook-body.ts'
import { createWebhookHeaders, type WebhookHeaders } from './webhook-headers.ts'
import { webhookFailure } from './webhook-response.ts'
import { webhookUrl, webhookUrlError } from './webhook-url.ts'

/** The options of a webhook. */
export interface WebhookOptions {
  /** Unique; it appears in logs and counts, so it must not be secret. */
  readonly name: string
  /**
   * An `http:` or `https:` URL, or a compiled template that {@link urlTemplateError} accepts. Values are
   * inserted percent-encoded: the template needs no `urlquery`, and its comparisons see encoded values.
   */
  readonly url: string | Renderer
  /** Default: `POST`. */
  readonly method?: 'POST' | 'PUT' | 'PATCH'
  /**
   * Headers in addition to those of Standard Webhooks. Default: `Content-Type: application/json` and
   * `User-Agent: swarm-deployer`.
   */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Renders the body. An empty body, or one of white space, is not sent and counts as delivered, so that
   * a template can skip events. Default: {@link defaultBody}.
   */
  readonly renderer?: Renderer
  /**
   * The signing secret: 24 to 64 bytes in base64, with or without the prefix `whsec_`. Default: requests
   * are not signed.
   */
  readonly secret?: string
  /** The names of the events that it receives. Default: `accepted`. */
  readonly events?: readonly DeploymentEventName[]
  /** The maximum duration of an attempt, in milliseconds. Default: 10 s. */
  readonly timeoutMs?: number
  /** Sends requests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch
}

const OPTIONS: Readonly<Record<keyof WebhookOptions, true>> = {
  name: true,
  url: true,
  method: true,
  headers: true,
  renderer: true,
  secret: true,
  events: true,
  timeoutMs: true,
  fetch: true,
}

/** The options of a webhook with their defaults. */
interface Hook extends WebhookOptions {
  readonly method: 'POST' | 'PUT' | 'PATCH'
  readonly timeoutMs: number
  readonly headersOf: WebhookHeaders
}

interface Outgoing {
  readonly url: URL
  readonly body: string
  readonly event: DeploymentEvent
  readonly signal: AbortSignal
}

const METHODS: readonly unknown[] = ['POST', 'PUT', 'PATCH']
const MAX_TIMEOUT_MS = 2_147_483_647

/**
 * Creates a destination that sends each event to a URL. Redirects are not followed. A status of 2xx is
 * a delivery; 400, 410, 413, 414, 422 and 431 are final; after any other result the event is sent again,
 * with the same `webhook-id`.
 *
 * @param options The URL, and what is sent.
 * @returns The destination. Its errors contain neither path nor query of the URL, because those of chat
 *   services are secrets.
 * @throws TypeError or RangeError when an option is invalid.
 * @example
 * ```ts
 * const destination = createWebhook({
 *   name: 'chat',
 *   url: 'https://chat.example.com/hooks/deployments',
 *   events: ['converged', 'rolled-back'],
 * })
 * ```
 */
export function createWebhook(options: WebhookOptions): Destination {
  checkOptionNames(options, Object.keys(OPTIONS))
  const { name, events = ['accepted'], method = 'POST', timeoutMs = 10_000 } = options
  checkNames(name, events)
  if (!METHODS.includes(method)) {
    throw new TypeError('Cannot use `method`: it must be POST, PUT or PATCH')
  }
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS) {
    throw new RangeError(
      `Cannot use \`timeoutMs\`: it must be a whole number from 1 to ${MAX_TIMEOUT_MS}`,
    )
  }
  const urlError = webhookUrlError(options.url)
  if (urlError !== undefined) {
    throw new TypeError(`Cannot use \`url\`: ${urlError}`)
  }
  const hook: Hook = { ...options, method, timeoutMs, headersOf: createWebhookHeaders(options) }

  return {
    name,
    events: [...events],
    async deliver(event, signal) {
      const message = compose(hook, event)
      if (message !== undefined) {
        await send(hook, { ...message, event, signal })
      }
    },
  }
}

function checkNames(name: string, events: readonly DeploymentEventName[]): void {
  if (typeof name !== 'string' || name === '') {
    throw new TypeError('Cannot use `name`: it must not be empty')
  }
  const unknown = events.find((event) => !deploymentEventNames.includes(event))
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot use \`events\`: ${JSON.stringify(unknown)} is none of ${deploymentEventNames.join(', ')}`,
    )
  }
}

/** The request for an event; undefined when nothing is sent. */
function compose(
  { name, url, renderer }: Hook,
  event: DeploymentEvent,
): { readonly url: URL; readonly body: string } | undefined {
  const body = rendered(name, () => renderer?.render(messageData(event)) ?? defaultBody(event))
  if (body.trim() === '') {
    return undefined
  }
  const result = rendered(name, () => webhookUrl(url, messageData(event)))
  if ('error' in result) {
    throw failed(name, `the url is invalid for this event: ${result.error}`, { isFinal: true })
  }
  return { url: result.url, body }
}

function rendered<T>(name: string, render: () => T): T {
  try {
    return render()
  } catch (cause) {
    throw failed(name, 'its template failed', { isFinal: true, cause })
  }
}

async function send(hook: Hook, message: Outgoing): Promise<void> {
  const { name, timeoutMs } = hook
  const { signal } = message
  const controller = new AbortController()
  let abortReason = ''
  const abort = (reason: string): void => {
    abortReason ||= reason
    controller.abort()
  }
  const timer = setTimeout(() => abort(`there was no response within ${timeoutMs} ms`), timeoutMs)
  const cancel = onAbort(signal, () => abort('it was aborted'))
  if (signal.aborted) {
    abort('it was aborted')
  }
  try {
    const response = await request(hook, { ...message, signal: controller.signal })
    await checkResponse(hook, response, message.url)
  } catch (error) {
    if (error instanceof DeliveryError) {
      throw error
    }
    const cause = innermost(error)
    throw failed(name, abortReason || networkErrorMessage(cause), { cause })
  } finally {
    clearTimeout(timer)
    cancel()
  }
}

async function request(hook: Hook, { url, body, event, signal }: Outgoing): Promise<Response> {
  const headers = await hook.headersOf(event.id, body)
  const httpFetch = hook.fetch ?? fetch
  return httpFetch(url, { method: hook.method, headers, body, signal, redirect: 'manual' })
}

/** Resolves when the receiver has accepted the message. */
async function checkResponse(
  { name, headers, secret }: Hook,
  response: Response,
  url: URL,
): Promise<void> {
  const failure = await webhookFailure(response, { headers, secret, url })
  if (failure !== undefined) {
    const { reason, ...options } = failure
    throw failed(name, reason, options)
  }
}

function failed(
  name: string,
  reason: string,
  options: ConstructorParameters<typeof DeliveryError>[1],
): DeliveryError {
  return new DeliveryError(`Cannot deliver to ${JSON.stringify(name)}: ${reason}`, options)
}
