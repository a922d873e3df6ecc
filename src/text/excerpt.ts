// Pure: texts of others as a log can have them.

const MAX_EXCERPT = 200

/**
 * Makes one short line of a text.
 *
 * @param text What somebody else wrote.
 * @returns Its first 200 characters, without control characters and line breaks.
 */
export function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return line.slice(0, MAX_EXCERPT).replace(/\p{Surrogate}$/u, '')
}
