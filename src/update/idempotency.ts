// Idempotency keys: a request that is sent again joins what it began.

import { DeployerError } from '../errors.ts'

/** The keys of one process. */
export interface IdempotencyKeys<T> {
  /**
   * Begins once, however often a request comes.
   *
   * @param service The service's name, as the caller has it.
   * @param mark A hash of the key, a dot, and one of the request.
   * @param begin Begins; when it rejects, nothing has begun, and the key is free again.
   * @returns What the first one gave.
   * @throws DeployerError `idempotency-key-reused` when the key came with another request, and
   *   whatever `begin` threw.
   */
  once(service: string, mark: string, begin: () => Promise<T>): Promise<T>
}

interface Entry<T> {
  readonly mark: string
  readonly result: Promise<T>
  readonly createdAt: number
}

const MAX_ENTRIES = 10_000
const KEEP_MS = 24 * 60 * 60 * 1000

/**
 * Makes a memory for keys.
 *
 * @returns The memory, empty. It forgets a key after a day, and the oldest of more than 10,000.
 */
export function createIdempotencyKeys<T>(): IdempotencyKeys<T> {
  const entries = new Map<string, Entry<T>>()

  function forgetOld(now: number): void {
    for (const [key, { createdAt }] of entries) {
      if (entries.size <= MAX_ENTRIES && now - createdAt < KEEP_MS) {
        break
      }
      entries.delete(key)
    }
  }

  return {
    once(service, mark, begin) {
      const now = performance.now()
      forgetOld(now)
      const [keyHash = ''] = mark.split('.')
      const key = `${service}\n${keyHash}`
      const known = entries.get(key)
      if (known !== undefined) {
        return known.mark === mark ? known.result : Promise.reject(keyReused())
      }
      const result = begin()
      const entry = { mark, result, createdAt: now }
      entries.set(key, entry)
      result.catch(() => {
        if (entries.get(key) === entry) {
          entries.delete(key)
        }
      })
      return result
    },
  }
}

/**
 * Marks a request.
 *
 * @param key The idempotency key.
 * @param request What is the same in each request that means the same.
 * @returns A hash of the key, a dot, and one of the request; neither can be read back.
 */
export async function fingerprintOf(key: string, request: unknown): Promise<string> {
  const [one, other] = await Promise.all([hash(key), hash(JSON.stringify(request))])
  return `${one}.${other}`
}

/**
 * The error of a key that came with another request before.
 *
 * @returns A DeployerError `idempotency-key-reused`.
 */
export function keyReused(): DeployerError {
  return new DeployerError(
    'idempotency-key-reused',
    'Cannot take this Idempotency-Key: it came with another request for this service before; send a new key with each new request',
  )
}

async function hash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  const bytes = [...new Uint8Array(digest)].slice(0, 12)
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
