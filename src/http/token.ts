// Pure: whether a token can be used to authorise requests, and whether it is strong enough.

import { isHeaderValue } from './auth.ts'

// Node accepts 16 KiB for all headers of a request together.
const MAX_BYTES = 15 * 1024
const MIN_SAFE_LENGTH = 16
const README_EXAMPLE = 'SOME_TOKEN'

/**
 * Finds out why a token cannot be used.
 *
 * @param token The token; not empty.
 * @returns The reason, as the part of a sentence without the token; undefined when it can be used.
 */
export function tokenFault(token: string): string | undefined {
  if (!isHeaderValue(token)) {
    return 'can never match: no header can hold a line break, another control character or white space at an end; remove it'
  }
  // A header has bytes, and curl sends UTF-8. Bytes that are not UTF-8 were read as U+FFFD.
  if (/[\p{Surrogate}\ufffd]/u.test(token)) {
    return 'can never match: it is not UTF-8 text; choose another one'
  }
  if (new TextEncoder().encode(token).length > MAX_BYTES) {
    return `can never match: it has more than ${MAX_BYTES} bytes, and no request can send them; choose a shorter one`
  }
  if (token.toLowerCase() === 'bearer') {
    return `is ${JSON.stringify(token)}, which a caller with an empty token also sends; choose another one`
  }
  return undefined
}

/**
 * Finds out why a token is probably a mistake.
 *
 * @param token The token, which can be used.
 * @returns The reason, as the part of a sentence without the token; undefined for a good one.
 */
export function tokenWarning(token: string): string | undefined {
  const remedy = 'set a random one, such as the output of: openssl rand -hex 32'
  if (token === README_EXAMPLE) {
    return `is the example of the README, which is public; ${remedy}`
  }
  return [...token].length < MIN_SAFE_LENGTH
    ? `is shorter than ${MIN_SAFE_LENGTH} characters, so it can be guessed; ${remedy}`
    : undefined
}
