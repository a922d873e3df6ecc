// What the answer to a webhook means: the message is taken, is never to be tried again, or later.

import { oneLine } from '../../text/excerpt.ts'
import type { DeliveryErrorOptions } from '../delivery-error.ts'

/** Why a message was not taken, and what is to be done about it. */
export interface WebhookFailure extends Pick<DeliveryErrorOptions, 'isFinal' | 'retryAfterMs'> {
  /** Says nothing that was a secret of the request. */
  readonly reason: string
}

/** What was asked. */
export interface Asked {
  readonly url: URL
  /** Those that were set beside the usual ones. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What signed it. */
  readonly secret?: string | undefined
}

const PUBLIC_HEADERS: readonly string[] = ['accept', 'content-type', 'user-agent']
/** What no later try would change: the message itself is not to the other side's liking. */
const FINAL_STATUSES: readonly number[] = [400, 410, 413, 414, 422, 431]
const RETRY_AFTER_STATUSES: readonly number[] = [429, 503]
const MAX_RETRY_AFTER_MS = 3_600_000
const MAX_ANSWER_BYTES = 1024
const MAX_ANSWER_MS = 1000
/** Shorter texts are no secrets, and would riddle an answer with holes. */
const MIN_SECRET = 6

/**
 * Tells what an answer means.
 *
 * @param answer The answer. Its body is read no further than its first kilobyte and second.
 * @param asked What was asked: an answer that repeats its secrets is told without them.
 * @returns Why the message was not taken; undefined when it was.
 */
export async function webhookFailure(
  answer: Response,
  asked: Asked,
): Promise<WebhookFailure | undefined> {
  const { status, headers } = answer
  // Nobody waits for what it says, but a connection whose answer was read can be used again.
  const start = readStart(answer.body)
  if (status >= 200 && status < 300) {
    return undefined
  }
  const isRedirect = (status >= 300 && status < 400) || answer.type === 'opaqueredirect'
  return {
    reason: isRedirect
      ? redirectReason(answer, asked.url)
      : answerReason(status, { text: await start, secrets: secretsOf(asked) }),
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

/** RFC 9110, section 10.2.3: seconds, or a date, which is compared with the server's own clock. */
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
function secretsOf({ headers = {}, secret, url }: Asked): readonly string[] {
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
