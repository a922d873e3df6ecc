// A destination that is told by an HTTP request, signed as Standard Webhooks has it.

import { Webhook } from 'standardwebhooks'
import { onAbort } from './abort.ts'
import { DeliveryFault } from './delivery-fault.ts'
import {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
} from './deployment-event.ts'
import { messageData } from './messages.ts'
import type { Destination, MessageData, Renderer } from './ports.ts'

/** Where a webhook goes, and with what. */
export interface WebhookOptions {
  /** Names it in logs and counts; nothing secret. */
  readonly name: string
  /**
   * Where to, over `http:` or `https:`; or a template that {@link urlTemplateFault} finds nothing
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

/** The URL that a template gives for an event, or why that is not to be used. */
export type WebhookUrl = { readonly url: URL } | { readonly fault: string }

/** A webhook, as it is for every event. */
interface Hook extends WebhookOptions {
  readonly method: 'POST' | 'PUT' | 'PATCH'
  readonly timeoutMs: number
  readonly fixedHeaders: Headers
  readonly signer: Webhook | undefined
}

interface Outgoing {
  readonly url: URL
  readonly body: string
  readonly event: DeploymentEvent
  readonly signal: AbortSignal
}

interface Usual {
  readonly origin: string | undefined
  readonly endsInSlash: boolean
}

const METHODS: readonly unknown[] = ['POST', 'PUT', 'PATCH']
/** Those of Standard Webhooks, and those that are fetch's business. */
const RESERVED_HEADERS: readonly string[] = [
  ...['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  ...['connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]
const PUBLIC_HEADERS: readonly string[] = ['accept', 'content-type', 'user-agent']
/** What no later try would change: the message itself is not to the other side's liking. */
const FINAL_STATUSES: readonly number[] = [400, 410, 413, 414, 422, 431]
const RETRY_AFTER_STATUSES: readonly number[] = [429, 503]
const MAX_RETRY_AFTER_MS = 3_600_000
const MAX_TIMEOUT_MS = 2_147_483_647
const MAX_ANSWER_BYTES = 1024
const MAX_ANSWER_MS = 1000
const MAX_EXCERPT = 200
/** Shorter texts are no secrets, and would riddle an answer with holes. */
const MIN_SECRET = 6

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
  checkUrl(options.url)
  const fixedHeaders = readHeaders(options.headers ?? {})
  const signer = options.secret === undefined ? undefined : readSecret(options.secret)
  const hook: Hook = { ...options, method, timeoutMs, fixedHeaders, signer }

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

/**
 * The body of a webhook that has no template.
 *
 * @param event What happened.
 * @returns JSON, with `type`, `timestamp` and `data` as Standard Webhooks recommends.
 */
export function defaultBody(event: DeploymentEvent): string {
  const { id, endedAt, startedAt, metadata, ...rest } = event
  const { service, serviceId, image, digest, previous, deploymentId, caller, error } = rest
  return JSON.stringify({
    type: `deployment.${event.event}`,
    timestamp: endedAt === '' ? startedAt : endedAt,
    data: {
      messageId: id,
      event: event.event,
      ...{ service, serviceId, image, digest, previous, deploymentId, caller, error },
      ...{ startedAt, endedAt, metadata },
    },
  })
}

/**
 * Tells what is wrong with a URL, or with a template of one.
 *
 * @param template The URL, perhaps with `{{…}}`.
 * @returns What is wrong with it, such as `it must begin with http:// or https://`; undefined when
 *   nothing is.
 */
export function urlTemplateFault(template: string): string | undefined {
  const [fixed = '', ...rest] = template.split('{{')
  if (/[\s\p{Cc}\\]/u.test(template.replace(/\{\{.*?\}\}/gs, ''))) {
    return 'it must not have white space, control characters or backslashes'
  }
  if (!/^https?:\/\//i.test(fixed)) {
    return 'it must begin with http:// or https://'
  }
  if (rest.length > 0 && !/^https?:\/\/[^/?#]+\//i.test(fixed)) {
    return 'a variable must come after the host and a /'
  }
  if (!URL.canParse(fixed)) {
    return 'it is no URL'
  }
  const { username, password } = new URL(fixed)
  return username === '' && password === ''
    ? undefined
    : 'it must not have credentials: send an Authorization header'
}

/**
 * Makes the URL for an event. Every value is percent-encoded, and none can lead to another host or
 * to another directory.
 *
 * @param url The URL, or its template.
 * @param data The values of the template's variables.
 * @returns The URL, or what is wrong with it.
 */
export function webhookUrl(url: string | Renderer, data: MessageData): WebhookUrl {
  if (typeof url === 'string') {
    return { url: new URL(url) }
  }
  const usual = url.render(PROBE)
  const text = url.render(encodeData(data))
  const fault =
    renderedFault(usual) ??
    renderedFault(text, { origin: originOf(usual), endsInSlash: segmentsOf(usual).at(-1) === '' })
  return fault === undefined ? { url: new URL(text) } : { fault }
}

/** `usual` tells where the template leads, and to what kind of path, when every value is there. */
function renderedFault(text: string, usual?: Usual): string | undefined {
  const fault = urlTemplateFault(text)
  if (fault !== undefined) {
    return fault
  }
  if (usual !== undefined && originOf(text) !== usual.origin) {
    return 'a value leads to another host'
  }
  const segments = segmentsOf(text)
  const mayEndInSlash = usual?.endsInSlash ?? true
  const named = mayEndInSlash && segments.at(-1) === '' ? segments.slice(0, -1) : segments
  return named.some((segment) => /^(?:\.|%2e){0,2}$/i.test(segment))
    ? 'a segment of its path is empty, "." or ".."'
    : undefined
}

/** The path as it is written: a URL object has resolved `..` already. */
function segmentsOf(text: string): readonly string[] {
  const path = /^https?:\/\/[^/?#]*\/?([^?#]*)/i.exec(text)?.[1] ?? ''
  return path.split('/')
}

function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined
}

/** Every variable has a value, whatever the name. */
const PROBE: MessageData = {
  ...{ Artifact: 'x', Caller: 'x', DeploymentID: 'x', Digest: 'x', Duration: 'x', EndedAt: 'x' },
  ...{ Error: 'x', Event: 'accepted', MessageID: 'x', Previous: 'x', ServiceID: 'x' },
  ...{ ServiceName: 'x', StartedAt: 'x' },
  Meta: new Proxy<Record<string, string>>(
    {},
    {
      get: () => 'x',
      has: () => true,
      getOwnPropertyDescriptor: () => ({ value: 'x', configurable: true, enumerable: true }),
    },
  ),
}

function encodeData({ Event, Meta, ...texts }: MessageData): MessageData {
  return { ...encodeValues(texts), Event, Meta: encodeValues(Meta) }
}

/** Names of metadata are callers' too, but those that a template can name stay what they are. */
function encodeValues<T extends Readonly<Record<string, string>>>(texts: T): T {
  const encoded = Object.entries(texts).map(([name, text]) => [encode(name), encode(text)])
  return Object.fromEntries(encoded) as T
}

/** Half a surrogate pair cannot be encoded. */
function encode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
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

function checkUrl(url: string | Renderer): void {
  const fault = typeof url === 'string' ? fixedUrlFault(url) : compiledUrlFault(url)
  if (fault !== undefined) {
    throw new TypeError(`Cannot use \`url\`: ${fault}`)
  }
}

function fixedUrlFault(url: string): string | undefined {
  return url.includes('{{') ? 'a template must be compiled first' : urlTemplateFault(url)
}

function compiledUrlFault(url: Renderer): string | undefined {
  return typeof url?.render === 'function'
    ? renderedFault(url.render(PROBE))
    : 'it must be a URL, or a template that was compiled'
}

function readHeaders(given: Readonly<Record<string, string>>): Headers {
  const headers = new Headers({
    'Content-Type': 'application/json',
    'User-Agent': 'swarm-deployer',
  })
  for (const [name, value] of Object.entries(given)) {
    if (RESERVED_HEADERS.includes(name.toLowerCase())) {
      throw new TypeError(`Cannot use \`headers\`: ${JSON.stringify(name)} is not yours to set`)
    }
    try {
      headers.set(name, value)
    } catch {
      // The platform's own message quotes the value, which may be a secret.
      throw new TypeError(
        `Cannot use \`headers\`: the name or the value of ${JSON.stringify(name)} has characters that HTTP does not allow`,
      )
    }
  }
  return headers
}

function readSecret(secret: string): Webhook {
  const text = typeof secret === 'string' ? secret.replace(/^whsec_/, '') : ''
  const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)
  const length = isBase64 ? atob(text).length : 0
  if (length < 24 || length > 64) {
    throw new TypeError(
      'Cannot use `secret`: it must be 24 to 64 random bytes in base64, after whsec_ or bare',
    )
  }
  return new Webhook(text)
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
    if (error instanceof DeliveryFault) {
      throw error
    }
    const cause = innermost(error)
    throw failed(name, why || networkReason(cause), { cause })
  } finally {
    clearTimeout(timer)
    callOff()
  }
}

function request(hook: Hook, { url, body, event, signal }: Outgoing): Promise<Response> {
  const now = new Date()
  const headers = new Headers(hook.fixedHeaders)
  headers.set('webhook-id', event.id)
  headers.set('webhook-timestamp', String(Math.floor(now.getTime() / 1000)))
  if (hook.signer !== undefined) {
    headers.set('webhook-signature', hook.signer.sign(event.id, now, body))
  }
  const ask = hook.fetch ?? fetch
  return ask(url, { method: hook.method, headers, body, signal, redirect: 'manual' })
}

/** Returns when the other side has taken the message. */
async function judge(hook: Hook, answer: Response, url: URL): Promise<void> {
  const { status } = answer
  // Nobody waits for what it says, but a connection whose answer was read can be used again.
  const start = readStart(answer.body)
  if (status >= 200 && status < 300) {
    return
  }
  const isRedirect = (status >= 300 && status < 400) || answer.type === 'opaqueredirect'
  const reason = isRedirect
    ? redirectReason(answer, url)
    : answerReason(status, { text: await start, secrets: secretsOf(hook, url) })
  throw failed(hook.name, reason, {
    isFinal: FINAL_STATUSES.includes(status),
    retryAfterMs: RETRY_AFTER_STATUSES.includes(status) ? retryAfterOf(answer.headers) : undefined,
  })
}

function redirectReason({ status, headers }: Response, from: URL): string {
  const location = headers.get('Location')
  const to = location !== null && URL.canParse(location, from.href) ? new URL(location, from) : null
  const where = to === null || to.origin === 'null' ? '' : ` to ${to.origin}`
  return `it redirects${where} (${status}): set url to where it ends`
}

/** RFC 9110, section 10.2.3: seconds, or a date. */
function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get('Retry-After')?.trim() ?? ''
  const isSeconds = /^\d+$/.test(text)
  const milliseconds = isSeconds ? Number(text) * 1000 : Date.parse(text) - Date.now()
  const isDate = /^[A-Z][a-z]+,? .* (?:GMT|\d{4})$/.test(text) && !Number.isNaN(milliseconds)
  return isSeconds || isDate ? Math.min(Math.max(milliseconds, 0), MAX_RETRY_AFTER_MS) : undefined
}

function answerReason(
  status: number,
  { text, secrets }: { readonly text: string; readonly secrets: readonly string[] },
): string {
  const excerpt = oneLine(secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text))
  return `it answered ${status}${excerpt === '' ? '' : `: ${excerpt}`}`
}

/** What a body says, as far as it says it soon; the rest is not received. It never rejects. */
async function readStart(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) {
    return ''
  }
  const reader = body.getReader()
  const stop = (): void => void reader.cancel().catch(() => {})
  const timer = setTimeout(stop, MAX_ANSWER_MS)
  const decoder = new TextDecoder()
  let text = ''
  try {
    for (let left = MAX_ANSWER_BYTES; left > 0; ) {
      const { done, value } = await reader.read()
      if (done) {
        break
      }
      text += decoder.decode(value.subarray(0, left), { stream: true })
      left -= value.length
    }
  } catch {
    // What came before it broke off is told.
  } finally {
    clearTimeout(timer)
    stop()
  }
  return text
}

/** Some servers say in their answer what they were asked for. */
function secretsOf({ headers = {}, secret }: Hook, { pathname, search }: URL): readonly string[] {
  const values = Object.entries(headers)
    .filter(([header]) => !PUBLIC_HEADERS.includes(header.toLowerCase()))
    .map(([, value]) => value)
  const parts = `${pathname}${search}`.split(/[/?&=]/)
  const texts = [
    ...[`${pathname}${search}`, pathname, search.slice(1), ...parts],
    ...[...values, ...values.flatMap((value) => value.split(/\s+/)), secret ?? ''],
  ]
  const decoded = texts.flatMap((text) => [text, text.replace(/(?:%[0-9a-f]{2})+/gi, decodeBytes)])
  return [...new Set(decoded)]
    .filter((text) => text.length >= MIN_SECRET)
    .sort((a, b) => b.length - a.length)
}

function decodeBytes(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

/** `fetch failed` says nothing: the reason is its cause. */
function innermost(error: unknown): unknown {
  return error instanceof TypeError && error.cause !== undefined ? innermost(error.cause) : error
}

function networkReason(error: unknown): string {
  // Node's error for a name with several addresses has none of its own message.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(networkReason))].join('; ')
  }
  if (!(error instanceof Error)) {
    return oneLine(String(error))
  }
  const { code } = error as { readonly code?: unknown }
  const text = error.message || error.name
  return oneLine(typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text)
}

function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return line.slice(0, MAX_EXCERPT).replace(/\p{Surrogate}$/u, '')
}

function failed(
  name: string,
  reason: string,
  options: ConstructorParameters<typeof DeliveryFault>[1],
): DeliveryFault {
  return new DeliveryFault(`Cannot deliver to ${JSON.stringify(name)}: ${reason}`, options)
}
