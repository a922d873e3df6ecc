// The length of texts in bytes.

const encoder = new TextEncoder()

/**
 * Counts the bytes of a text in UTF-8.
 *
 * @param text The text.
 * @returns The number of bytes.
 */
export function byteLength(text: string): number {
  return encoder.encode(text).length
}

/**
 * Cuts a text to a number of bytes in UTF-8.
 *
 * @param text The text.
 * @param maxBytes The maximum number of bytes.
 * @returns The longest start of the text that fits, of whole characters.
 */
export function cutToBytes(text: string, maxBytes: number): string {
  if (byteLength(text) <= maxBytes) {
    return text
  }
  let start = ''
  let length = 0
  for (const character of text) {
    length += byteLength(character)
    if (length > maxBytes) {
      break
    }
    start += character
  }
  return start
}
