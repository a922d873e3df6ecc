// The signature of a webhook: HMAC-SHA256, as Standard Webhooks defines it.

/** Signs a message, as the value of the header `webhook-signature`. */
export type WebhookSigner = (message: SignedMessage) => Promise<string>

/** The parts of a message that the signature covers. */
export interface SignedMessage {
  /** The header `webhook-id`. */
  readonly id: string
  /** The header `webhook-timestamp`: seconds since 1970. */
  readonly timestamp: string
  readonly body: string
}

const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' } as const
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const MIN_BYTES = 24
const MAX_BYTES = 64

/**
 * Creates the signer of a webhook. The key is imported with the first signature, because workerd
 * allows no asynchronous work at module scope, and then kept.
 *
 * @param secret 24 to 64 bytes in base64, with or without the prefix `whsec_`.
 * @returns The signer.
 * @throws TypeError when the secret is invalid.
 */
export function createWebhookSigner(secret: string): WebhookSigner {
  const bytes = readSecret(secret)
  // The key and not its promise: workerd never resolves a promise of a request that has ended.
  let key: Awaited<ReturnType<typeof crypto.subtle.importKey>> | undefined
  return async ({ id, timestamp, body }) => {
    key ??= await crypto.subtle.importKey('raw', bytes, ALGORITHM, false, ['sign'])
    const content = new TextEncoder().encode(`${id}.${timestamp}.${body}`)
    const signature = await crypto.subtle.sign(ALGORITHM.name, key, content)
    return `v1,${btoa(String.fromCharCode(...new Uint8Array(signature)))}`
  }
}

function readSecret(secret: string): Uint8Array<ArrayBuffer> {
  const text = typeof secret === 'string' ? secret.replace(/^whsec_/, '') : ''
  const bytes = Uint8Array.from(BASE64.test(text) ? atob(text) : '', (byte) => byte.charCodeAt(0))
  if (bytes.length < MIN_BYTES || bytes.length > MAX_BYTES) {
    throw new TypeError(
      `Cannot use \`secret\`: it must be ${MIN_BYTES} to ${MAX_BYTES} random bytes in base64, with or without the prefix whsec_`,
    )
  }
  return bytes
}
