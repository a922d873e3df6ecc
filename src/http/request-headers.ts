// The headers of a request for a deployment.

import type { Context } from 'hono'
import { DeployerError } from '../errors.ts'

const MAX_KEY_LENGTH = 255
// The members of an AuthConfig that an engine reads (moby, api/types/registry).
const AUTH_MEMBERS = ['username', 'password', 'identitytoken', 'registrytoken']
const BASE64URL = /^[A-Za-z0-9_-]+={0,2}$/

/**
 * Reads the credentials for the image's registry. The engine ignores credentials that it cannot read and
 * pulls without any, so they are rejected here.
 *
 * @param c The request's context.
 * @returns The header, unchanged; undefined when there is none. Secret.
 * @throws DeployerError `malformed-request` when it is not base64url of a JSON object, or when the
 *   object has only `auth`.
 */
export function readRegistryAuth(c: Context): string | undefined {
  const header = c.req.header('X-Registry-Auth')
  if (header === undefined || header === '') {
    return undefined
  }
  const credentials = BASE64URL.test(header) ? decodedObject(header) : undefined
  if (credentials === undefined) {
    throw new DeployerError(
      'malformed-request',
      'Cannot read the header X-Registry-Auth: it must be base64url of a JSON object such as {"username": "…", "password": "…"}, as Docker sends it',
    )
  }
  // `docker login` writes `auth` into config.json; only Docker's command line decodes it.
  const values = new Map<string, unknown>(Object.entries(credentials))
  if (values.has('auth') && !AUTH_MEMBERS.some((name) => Boolean(values.get(name)))) {
    throw new DeployerError(
      'malformed-request',
      'Cannot use the header X-Registry-Auth: it has only the member "auth", which the Docker Engine does not read; send {"username": "…", "password": "…"}, as base64url',
    )
  }
  return header
}

/**
 * Reads the key that identifies a request when it is repeated.
 *
 * @param c The request's context.
 * @returns The header, unchanged; undefined when there is none.
 * @throws DeployerError `malformed-request` when it is longer than 255 characters.
 */
export function readIdempotencyKey(c: Context): string | undefined {
  const key = c.req.header('Idempotency-Key')
  if (key !== undefined && key.length > MAX_KEY_LENGTH) {
    throw new DeployerError(
      'malformed-request',
      `Cannot use an Idempotency-Key of ${key.length} characters: send at most ${MAX_KEY_LENGTH}`,
    )
  }
  return key === '' ? undefined : key
}

function decodedObject(base64url: string): object | undefined {
  try {
    const value = JSON.parse(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
