// Shortens texts from elsewhere for logs and messages.

const MAX_EXCERPT = 200

/**
 * Shortens a text to one line.
 *
 * @param text The text, from any source.
 * @returns Its first 200 characters, without control characters and line breaks.
 */
export function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return line.slice(0, MAX_EXCERPT).replace(/\p{Surrogate}$/u, '')
}
