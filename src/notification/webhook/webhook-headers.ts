// The headers of a webhook: those that were asked for, and those of Standard Webhooks.

import { Webhook } from 'standardwebhooks'

/** What the headers are made of. */
export interface WebhookHeadersOptions {
  /** Those beside the headers of Standard Webhooks. */
  readonly headers?: Readonly<Record<string, string>>
  /** 24 to 64 bytes in base64, after `whsec_` or bare. Default: nothing is signed. */
  readonly secret?: string
}

/** Makes the headers of a try: with the same `webhook-id` as any other, but the time of now. */
export type WebhookHeaders = (messageId: string, body: string) => Headers

/** Those of Standard Webhooks, and those that are fetch's business. */
const RESERVED_HEADERS: readonly string[] = [
  ...['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  ...['connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]

/**
 * Makes the headers of a webhook.
 *
 * @param options What is set beside the headers of Standard Webhooks, and what signs.
 * @returns A function that makes them for each try.
 * @throws TypeError when a header or the secret is wrong.
 */
export function createWebhookHeaders({
  headers: given,
  secret,
}: WebhookHeadersOptions): WebhookHeaders {
  const fixed = readHeaders(given ?? {})
  const signer = secret === undefined ? undefined : readSecret(secret)
  return (messageId, body) => {
    const now = new Date()
    const headers = new Headers(fixed)
    headers.set('webhook-id', messageId)
    headers.set('webhook-timestamp', String(Math.floor(now.getTime() / 1000)))
    if (signer !== undefined) {
      headers.set('webhook-signature', signer.sign(messageId, now, body))
    }
    return headers
  }
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
