// Idempotency keys: a repeated request gets the result of the first one.

import { LRUCache } from 'lru-cache'
import { DeployerError } from '../errors.ts'

/** The keys of one process. */
export interface IdempotencyKeys<T> {
  /**
   * Runs a request once, however often it is repeated.
   *
   * @param service The service's name, as the caller sent it.
   * @param fingerprint What {@link fingerprintOf} returned.
   * @param run Runs the request; when it rejects, nothing was deployed, and the key is free again.
   * @returns The result of the first request.
   * @throws DeployerError `idempotency-key-reused` when the key was used for another request, and
   *   what `run` threw.
   */
  once(service: string, fingerprint: string, run: () => Promise<T>): Promise<T>
}

interface Entry<T> {
  readonly fingerprint: string
  readonly result: Promise<T>
}

const MAX_ENTRIES = 10_000
const KEEP_MS = 24 * 60 * 60 * 1000

/**
 * Creates a memory for keys.
 *
 * @returns The memory, empty. It forgets a key 24 hours after its first request, and the oldest of more
 *   than 10,000.
 */
export function createIdempotencyKeys<T>(): IdempotencyKeys<T> {
  const entries = new LRUCache<string, Entry<T>>({
    max: MAX_ENTRIES,
    // An entry is stale once it is older than `ttl`.
    ttl: KEEP_MS - 1,
    // 0: the clock is read each time, and no timer is needed.
    ttlResolution: 0,
    // An entry that was created at the time 0 would never be stale.
    perf: { now: () => performance.now() + 1 },
  })
  return {
    once(service, fingerprint, run) {
      const [keyHash = ''] = fingerprint.split('.')
      const key = `${service}\n${keyHash}`
      // `get` would keep a key that is used often, and forget newer ones for it.
      const known = entries.peek(key)
      if (known !== undefined) {
        return known.fingerprint === fingerprint ? known.result : Promise.reject(keyReused())
      }
      const entry = { fingerprint, result: run() }
      entries.set(key, entry)
      entry.result.catch(() => {
        if (entries.peek(key) === entry) {
          entries.delete(key)
        }
      })
      return entry.result
    },
  }
}

/**
 * Computes the fingerprint of a request.
 *
 * @param key The idempotency key.
 * @param request The values that are equal in two requests that mean the same.
 * @returns A hash of the key, a dot, and a hash of the request; neither can be read back.
 */
export async function fingerprintOf(key: string, request: unknown): Promise<string> {
  const [keyHash, requestHash] = await Promise.all([hash(key), hash(JSON.stringify(request))])
  return `${keyHash}.${requestHash}`
}

/**
 * The error of a key that was used for another request.
 *
 * @returns A DeployerError `idempotency-key-reused`.
 */
export function keyReused(): DeployerError {
  return new DeployerError(
    'idempotency-key-reused',
    'Cannot use this Idempotency-Key: it was used for another request for this service; send a new key with each new request',
  )
}

async function hash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  const bytes = [...new Uint8Array(digest)].slice(0, 12)
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
