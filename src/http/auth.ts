// Bearer middleware: lets a request through when its `Authorization` header carries the token.

import type { Context, MiddlewareHandler } from 'hono'
import { DeployerError } from '../errors.ts'
import { problemResponder } from './problem.ts'

const REMEDY = 'send the header "Authorization: Bearer <token>"'

// There is one token, and whoever has it is the same to Deployer.
const CALLER = 'token'

/** What {@link bearer} puts on the context. */
export interface AuthEnv {
  Variables: {
    /** The name of what the caller showed. */
    deployerCaller: string
  }
}

/**
 * Middleware that asks for one token. The header may hold the bare token, as callers of the Go
 * program send it, or `Bearer` and the token (RFC 6750 section 2.1).
 *
 * @param token What a caller must send.
 * @param onRefusal Is told of each request that is turned away.
 * @returns A named Hono middleware that answers `missing-token` or `invalid-token` itself. It throws
 *   nothing: whoever floods a service with wrong tokens is to cost little.
 */
export function bearer(
  token: string,
  onRefusal: (c: Context, error: DeployerError) => void,
): MiddlewareHandler<AuthEnv> {
  const expected = headerBytes(token)
  const missing = refusal('missing-token', `Cannot let a request in without a token: ${REMEDY}`)
  const empty = refusal(
    'missing-token',
    `Cannot let a request in with an empty token: the header "Authorization" holds "Bearer" and nothing behind it, so the variable that should hold the token is probably empty; ${REMEDY}`,
  )
  const invalid = refusal(
    'invalid-token',
    `Cannot let this token in: it is not the one that is set; ${REMEDY}`,
  )
  return async function bearer(c, next) {
    const header = c.req.header('Authorization') ?? ''
    const isBare = isEqual(header, expected)
    const isBearer = isEqual(header.replace(/^Bearer +/i, ''), expected)
    if (isBare || isBearer) {
      c.set('deployerCaller', CALLER)
      return next()
    }
    const { error, answer } = header === '' ? missing : /^bearer *$/i.test(header) ? empty : invalid
    onRefusal(c, error)
    return answer()
  }
}

/**
 * Whether a header can carry a text whole. RFC 9110 section 5.5: a header's value holds no control
 * characters, and white space at its ends is not part of it.
 *
 * @param text The text, such as a token.
 * @returns False when no request could ever bring it.
 */
export function isHeaderValue(text: string): boolean {
  return !/\p{Cc}|^\s|\s$/u.test(text)
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

interface Refusal {
  readonly error: DeployerError
  readonly answer: () => Response
}

/** RFC 6750 section 3: no `error` parameter for a request without credentials. */
function refusal(code: 'missing-token' | 'invalid-token', message: string): Refusal {
  const challenge = 'Bearer realm="deployer"'
  const error = new DeployerError(code, message)
  return {
    error,
    answer: problemResponder(error, {
      'WWW-Authenticate':
        code === 'missing-token' ? challenge : `${challenge}, error="invalid_token"`,
    }),
  }
}
