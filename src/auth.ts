// Bearer middleware: lets a request through when its `Authorization` header carries the token.

import type { MiddlewareHandler } from 'hono'
import { DeployerError } from './problem.ts'

const REMEDY = 'send the header "Authorization: Bearer <token>"'

/**
 * Middleware that asks for one token. The header may hold the bare token, as callers of the Go
 * program send it, or `Bearer` and the token (RFC 6750 section 2.1).
 *
 * @param token What a caller must send.
 * @returns A named Hono middleware that throws DeployerError `missing-token` or `invalid-token`.
 */
export function bearer(token: string): MiddlewareHandler {
  const expected = headerBytes(token)
  return function bearer(c, next) {
    const header = c.req.header('Authorization') ?? ''
    if (header === '') {
      throw refusal('missing-token', `The request has no token: ${REMEDY}`)
    }
    const isBare = isEqual(header, expected)
    const isBearer = isEqual(header.replace(/^Bearer +/i, ''), expected)
    if (!isBare && !isBearer) {
      throw refusal('invalid-token', `The token is not the one that is set: ${REMEDY}`)
    }
    return next()
  }
}

/** A header value comes in as one character a byte (WHATWG `ByteString`), and curl sends UTF-8. */
function headerBytes(token: string): string {
  return Array.from(new TextEncoder().encode(token), (byte) => String.fromCharCode(byte)).join('')
}

/** Compares in a time that depends on the length of what was sent alone. */
function isEqual(sent: string, expected: string): boolean {
  let difference = sent.length ^ expected.length
  for (let i = 0; i < sent.length; i += 1) {
    difference |= sent.charCodeAt(i) ^ expected.charCodeAt(i % expected.length)
  }
  return difference === 0
}

/** RFC 6750 section 3: no `error` parameter for a request without credentials. */
function refusal(code: 'missing-token' | 'invalid-token', message: string): DeployerError {
  const challenge = 'Bearer realm="deployer"'
  return new DeployerError(code, message, {
    headers: {
      'WWW-Authenticate':
        code === 'missing-token' ? challenge : `${challenge}, error="invalid_token"`,
    },
  })
}
