// SHA-256 without waiting: Web Crypto is asynchronous, and would delay each update by a turn of the event
// loop.

import { sha256 as hash } from '@noble/hashes/sha2'
import { bytesToHex } from '@noble/hashes/utils'

/**
 * Hashes a text.
 *
 * @param text The text; its UTF-8 is hashed.
 * @returns 64 hexadecimal digits.
 */
export function sha256(text: string): string {
  return bytesToHex(hash(text))
}
