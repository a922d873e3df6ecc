// The headers of a webhook: those of its options, and those of Standard Webhooks.

import { createWebhookSigner } from './webhook-signature.ts'

/** What the headers consist of. */
export interface WebhookHeadersOptions {
  /** Headers in addition to those of Standard Webhooks. */
  readonly headers?: Readonly<Record<string, string>>
  /** 24 to 64 bytes in base64, with or without the prefix `whsec_`. Default: not signed. */
  readonly secret?: string
}

/**
 * Creates the headers of a delivery attempt: every attempt has the same `webhook-id`, and the current
 * time.
 */
export type WebhookHeaders = (messageId: string, body: string) => Promise<Headers>

/** Headers of Standard Webhooks, and those that `fetch` sets. */
const RESERVED_HEADERS: readonly string[] = [
  ...['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  ...['connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]

/**
 * Reads the header options of a webhook.
 *
 * @param options Additional headers and the signing secret.
 * @returns A function that creates the headers of each delivery attempt.
 * @throws TypeError when a header or the secret is invalid.
 */
export function createWebhookHeaders({
  headers: given,
  secret,
}: WebhookHeadersOptions): WebhookHeaders {
  const fixed = readHeaders(given ?? {})
  const sign = secret === undefined ? undefined : createWebhookSigner(secret)
  return async (id, body) => {
    const timestamp = String(Math.floor(Date.now() / 1000))
    const headers = new Headers(fixed)
    headers.set('webhook-id', id)
    headers.set('webhook-timestamp', timestamp)
    if (sign !== undefined) {
      headers.set('webhook-signature', await sign({ id, timestamp, body }))
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
      throw new TypeError(`Cannot use \`headers\`: ${JSON.stringify(name)} is set by Deployer`)
    }
    try {
      headers.set(name, value)
    } catch {
      // The message of the runtime quotes the value, which may be a secret.
      throw new TypeError(
        `Cannot use \`headers\`: the name or the value of ${JSON.stringify(name)} has characters that HTTP does not allow`,
      )
    }
  }
  return headers
}
