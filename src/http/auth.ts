// Bearer middleware: accepts a request when its `Authorization` header has the token.

import type { Context, MiddlewareHandler } from 'hono'
import { DeployerError } from '../errors.ts'
import { problemResponder } from './problem.ts'

const REMEDY = 'send the header "Authorization: Bearer <token>"'

// There is one token, so all callers have the same name.
const CALLER = 'token'

/** The context variables that {@link bearer} sets. */
export interface AuthEnv {
  Variables: {
    /** The name of the credentials that the caller used. */
    deployerCaller: string
  }
}

/**
 * Middleware that requires a token. The header may have the bare token, as callers of the Go program
 * send it, or `Bearer` and the token (RFC 6750 section 2.1).
 *
 * @param token The token.
 * @param onRejected Called for each rejected request.
 * @returns A named Hono middleware that responds with `missing-token` or `invalid-token`. It throws
 *   nothing, so that a flood of requests with wrong tokens costs little.
 */
export function bearer(
  token: string,
  onRejected: (c: Context, error: DeployerError) => void,
): MiddlewareHandler<AuthEnv> {
  const expected = headerBytes(token)
  const missing = rejection('missing-token', `Missing token: ${REMEDY}`)
  const empty = rejection(
    'missing-token',
    `Empty token: the header "Authorization" is "Bearer" with nothing after it, so the variable that should have the token is probably empty; ${REMEDY}`,
  )
  const invalid = rejection('invalid-token', `Invalid token: ${REMEDY}`)
  return async function bearer(c, next) {
    const header = c.req.header('Authorization') ?? ''
    const isBare = isEqual(header, expected)
    const isBearer = isEqual(header.replace(/^Bearer +/i, ''), expected)
    if (isBare || isBearer) {
      c.set('deployerCaller', CALLER)
      return next()
    }
    const { error, respond } =
      header === '' ? missing : /^bearer *$/i.test(header) ? empty : invalid
    onRejected(c, error)
    return respond()
  }
}

/**
 * Whether a text can be the value of a header. RFC 9110 section 5.5: a value has no control characters,
 * and white space at its ends is not part of it.
 *
 * @param text The text, such as a token.
 * @returns False when no request can have such a header.
 */
export function isHeaderValue(text: string): boolean {
  return !/\p{Cc}|^\s|\s$/u.test(text)
}

/** A header value has one character for each byte (WHATWG `ByteString`), and curl sends UTF-8. */
function headerBytes(token: string): string {
  return Array.from(new TextEncoder().encode(token), (byte) => String.fromCharCode(byte)).join('')
}

/** Compares two texts in a time that depends only on the length of the one that was sent. */
function isEqual(sent: string, expected: string): boolean {
  let difference = sent.length ^ expected.length
  for (let i = 0; i < sent.length; i += 1) {
    difference |= sent.charCodeAt(i) ^ expected.charCodeAt(i % expected.length)
  }
  return difference === 0
}

interface Rejection {
  readonly error: DeployerError
  readonly respond: () => Response
}

/** RFC 6750 section 3: no `error` parameter for a request without credentials. */
function rejection(code: 'missing-token' | 'invalid-token', message: string): Rejection {
  const challenge = 'Bearer realm="deployer"'
  const error = new DeployerError(code, message)
  return {
    error,
    respond: problemResponder(error, {
      'WWW-Authenticate':
        code === 'missing-token' ? challenge : `${challenge}, error="invalid_token"`,
    }),
  }
}
