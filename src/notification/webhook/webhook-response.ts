// Interprets the response to a webhook: the message is accepted, rejected, or retried later.

import { oneLine } from '../../text/excerpt.ts'
import type { DeliveryErrorOptions } from '../delivery-error.ts'

/** Why a message was not accepted, and whether it is retried. */
export interface WebhookFailure extends Pick<DeliveryErrorOptions, 'isFinal' | 'retryAfterMs'> {
  /** Contains no secrets of the request. */
  readonly reason: string
}

/** The parts of a request that its response may repeat. */
export interface SentRequest {
  readonly url: URL
  /** The headers of the webhook's options. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The signing secret. */
  readonly secret?: string | undefined
}

const PUBLIC_HEADERS: readonly string[] = ['accept', 'content-type', 'user-agent']
/** The receiver rejects the message itself: a retry gets the same response. */
const FINAL_STATUSES: readonly number[] = [400, 410, 413, 414, 422, 431]
const RETRY_AFTER_STATUSES: readonly number[] = [429, 503]
const MAX_RETRY_AFTER_MS = 3_600_000
const MAX_BODY_BYTES = 1024
const MAX_BODY_MS = 1000
/** Shorter texts are no secrets, and removing them would make the response unreadable. */
const MIN_SECRET = 6

/**
 * Interprets a response.
 *
 * @param response The response. At most one kilobyte of its body is read, for at most one second.
 * @param request The request, whose secrets are removed from the reason.
 * @returns Why the message was not accepted; undefined when it was.
 */
export async function webhookFailure(
  response: Response,
  request: SentRequest,
): Promise<WebhookFailure | undefined> {
  const { status, headers } = response
  // A success does not wait for the body, but a connection whose response was read can be reused.
  const start = readStart(response.body)
  if (status >= 200 && status < 300) {
    return undefined
  }
  const isRedirect = (status >= 300 && status < 400) || response.type === 'opaqueredirect'
  return {
    reason: isRedirect
      ? redirectReason(response, request.url)
      : statusReason(status, { text: await start, secrets: secretsOf(request) }),
    isFinal: FINAL_STATUSES.includes(status),
    retryAfterMs: RETRY_AFTER_STATUSES.includes(status) ? retryAfterOf(headers) : undefined,
  }
}

function redirectReason({ status, headers }: Response, from: URL): string {
  const location = headers.get('Location')
  const to = location !== null && URL.canParse(location, from.href) ? new URL(location, from) : null
  const where = to === null || to.origin === 'null' ? '' : ` to ${to.origin}`
  return `it redirects${where} (${status}): set url to where it ends`
}

/** RFC 9110, section 10.2.3: seconds, or a date, which is compared with the clock of the server. */
function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get('Retry-After')?.trim() ?? ''
  const isSeconds = /^\d+$/.test(text)
  const milliseconds = isSeconds ? Number(text) * 1000 : Date.parse(text) - serverNow(headers)
  const isDate = /^[A-Z][a-z]+,? .* (?:GMT|\d{4})$/.test(text) && !Number.isNaN(milliseconds)
  return isSeconds || isDate ? Math.min(Math.max(milliseconds, 0), MAX_RETRY_AFTER_MS) : undefined
}

function serverNow(headers: Headers): number {
  const date = Date.parse(headers.get('Date') ?? '')
  return Number.isNaN(date) ? Date.now() : date
}

function statusReason(
  status: number,
  { text, secrets }: { readonly text: string; readonly secrets: readonly string[] },
): string {
  const excerpt = oneLine(secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text))
  return `it answered ${status}${excerpt === '' ? '' : `: ${excerpt}`}`
}

/** Reads the start of a body, with limits for size and time, and cancels the rest. It never rejects. */
async function readStart(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) {
    return ''
  }
  const reader = body.getReader()
  const stop = (): void => void reader.cancel().catch(() => {})
  const timer = setTimeout(stop, MAX_BODY_MS)
  const decoder = new TextDecoder()
  let text = ''
  try {
    for (let left = MAX_BODY_BYTES; left > 0; ) {
      const { done, value } = await reader.read()
      if (done) {
        break
      }
      text += decoder.decode(value.subarray(0, left), { stream: true })
      left -= value.length
    }
  } catch {
    // The connection broke: the text so far is used.
  } finally {
    clearTimeout(timer)
    stop()
  }
  return text
}

/** Some servers repeat parts of the request in their response. */
function secretsOf({ headers = {}, secret, url }: SentRequest): readonly string[] {
  const { pathname, search } = url
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
