// A destination that is told by an HTTP request, signed as Standard Webhooks has it.

import { onAbort } from '../../async/abort.ts'
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
import { webhookUrl, webhookUrlFault } from './webhook-url.ts'

/** Where a webhook goes, and with what. */
export interface WebhookOptions {
  /** Names it in logs and counts; nothing secret. */
  readonly name: string
  /**
   * Where to, over `http:` or `https:`; or a template that {@link urlTemplateError} finds nothing
   * wrong with, compiled. Values come into it percent-encoded, so that it needs no `urlquery` and
   * compares what is percent-encoded.
   */
  readonly url: string | Renderer
  /** Default: `POST`. */
  readonly method?: 'POST' | 'PUT' | 'PATCH'
  /**
   * Headers beside those of Standard Webhooks. Default: `Content-Type: application/json` and
   * `User-Agent: swarm-deployer`.
   */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Makes the body. A body of nothing but white space is not sent, and counts as delivered: a
   * template may thus be silent of some events. Default: {@link defaultBody}.
   */
  readonly renderer?: Renderer
  /**
   * Signs each try: 24 to 64 bytes in base64, after `whsec_` or bare. Default: nothing is signed.
   */
  readonly secret?: string
  /** What it is told of. Default: `accepted`. */
  readonly events?: readonly DeploymentEventName[]
  /** The longest that a try may take, in milliseconds. Default: 10 s. */
  readonly timeoutMs?: number
  /** Sends requests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch
}

/** A webhook, as it is for every event. */
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
 * Makes a destination that sends each event to a URL. Redirects are not followed. An answer of 2xx
 * is a delivery; 400, 410, 413, 414, 422 and 431 are final; whatever else happens is tried again,
 * with the same `webhook-id`.
 *
 * @param options Where to, and what is sent.
 * @returns The destination. Its faults name neither path nor query of the URL, for those of chat
 *   services are secrets.
 * @throws TypeError or RangeError when an option is wrong.
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
  const fault = webhookUrlFault(options.url)
  if (fault !== undefined) {
    throw new TypeError(`Cannot use \`url\`: ${fault}`)
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
    throw new TypeError('Cannot use `name`: a webhook needs one, for the log')
  }
  const unknown = events.find((event) => !deploymentEventNames.includes(event))
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot use \`events\`: ${JSON.stringify(unknown)} is none of ${deploymentEventNames.join(', ')}`,
    )
  }
}

/** What is sent for an event; undefined when it is nothing. */
function compose(
  { name, url, renderer }: Hook,
  event: DeploymentEvent,
): { readonly url: URL; readonly body: string } | undefined {
  const body = rendered(name, () => renderer?.render(messageData(event)) ?? defaultBody(event))
  if (body.trim() === '') {
    return undefined
  }
  const made = rendered(name, () => webhookUrl(url, messageData(event)))
  if ('fault' in made) {
    throw failed(name, `its url, made for this event, is wrong: ${made.fault}`, { isFinal: true })
  }
  return { url: made.url, body }
}

function rendered<T>(name: string, render: () => T): T {
  try {
    return render()
  } catch (cause) {
    throw failed(name, 'its template fails', { isFinal: true, cause })
  }
}

async function send(hook: Hook, message: Outgoing): Promise<void> {
  const { name, timeoutMs } = hook
  const { signal } = message
  const controller = new AbortController()
  let why = ''
  const end = (reason: string): void => {
    why ||= reason
    controller.abort()
  }
  const timer = setTimeout(() => end(`there was no answer within ${timeoutMs} ms`), timeoutMs)
  const callOff = onAbort(signal, () => end('it was called off'))
  if (signal.aborted) {
    end('it was called off')
  }
  try {
    const answer = await request(hook, { ...message, signal: controller.signal })
    await judge(hook, answer, message.url)
  } catch (error) {
    if (error instanceof DeliveryError) {
      throw error
    }
    const cause = innermost(error)
    throw failed(name, why || networkErrorMessage(cause), { cause })
  } finally {
    clearTimeout(timer)
    callOff()
  }
}

async function request(hook: Hook, { url, body, event, signal }: Outgoing): Promise<Response> {
  const headers = await hook.headersOf(event.id, body)
  const httpFetch = hook.fetch ?? fetch
  return httpFetch(url, { method: hook.method, headers, body, signal, redirect: 'manual' })
}

/** Returns when the other side has taken the message. */
async function judge({ name, headers, secret }: Hook, answer: Response, url: URL): Promise<void> {
  const refusal = await webhookFailure(answer, { headers, secret, url })
  if (refusal !== undefined) {
    const { reason, ...options } = refusal
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
