// Lossless JSON: numbers that a JavaScript number cannot represent keep their digits.

/**
 * A number that JavaScript cannot represent, or prints differently: its digits, and its rounded
 * value.
 */
class ExactNumber {
  readonly digits: string

  constructor(digits: string) {
    this.digits = digits
  }

  valueOf(): number {
    return Number(this.digits)
  }

  toString(): string {
    return this.digits
  }
}

// Prefix of the digits of such a number during JSON.parse and JSON.stringify. No other text
// contains it.
const MARKER = crypto.randomUUID()
const MARKED = new RegExp(`"${MARKER}([^"]+)"`, 'g')
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/
// Quotes inside a JSON string are escaped, so this matches only a key and its number.
const LARGE_FORCE_UPDATE = /"ForceUpdate":\s*[0-9]{16}/
const NUMBERS = /-?[0-9][0-9.eE+-]*/g

/**
 * Parses JSON that is written back.
 *
 * @param text JSON text.
 * @returns The value. A number becomes a `number` if that is exact and prints the same digits.
 *   Otherwise a `ForceUpdate` becomes a bigint, and any other number an opaque object; {@link
 *   stringifyJson} writes both with their original digits.
 * @throws SyntaxError if the text is not JSON.
 */
export function parseJson(text: string): unknown {
  const marked = markNumbers(text)
  const value: unknown = JSON.parse(marked ?? text)
  return marked === undefined ? value : withoutMarks('', value)
}

/**
 * Parses JSON that is not written back, as fast as JSON.parse.
 *
 * @param text JSON text.
 * @returns The value. A large `ForceUpdate` is exact, as in {@link parseJson}; other numbers are
 *   rounded, as in JSON.parse.
 * @throws SyntaxError if the text is not JSON.
 */
export function parseReadOnlyJson(text: string): unknown {
  return LARGE_FORCE_UPDATE.test(text) ? parseJson(text) : JSON.parse(text)
}

/**
 * Converts a value to JSON.
 *
 * @param value A result of {@link parseJson}, or a value that contains parts of one.
 * @returns JSON text with the original digits of each number.
 */
export function stringifyJson(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => {
    const isExact = typeof part === 'bigint' || part instanceof ExactNumber
    return isExact ? `${MARKER}${part}` : part
  })
  return (text ?? 'null').replace(MARKED, '$1')
}

/**
 * Returns undefined if JavaScript represents all numbers exactly. A regular expression for JSON
 * strings would fail for long strings.
 */
function markNumbers(text: string): string | undefined {
  let marked = ''
  let copied = 0
  let at = 0
  while (at < text.length) {
    const quote = text.indexOf('"', at)
    const end = quote === -1 ? text.length : quote
    if (end - at > 1) {
      const between = text.slice(at, end)
      const exact = between.replace(NUMBERS, markIfInexact)
      if (exact !== between) {
        marked += text.slice(copied, at) + exact
        copied = end
      }
    }
    at = quote === -1 ? text.length : endOfString(text, quote)
  }
  return copied === 0 ? undefined : marked + text.slice(copied)
}

/** Text that is not a JSON number stays unchanged, so that JSON.parse refuses it. */
function markIfInexact(digits: string): string {
  const value = Number(digits)
  // Above 2^53 some integers print the same digits, but arithmetic with them is inexact.
  const isExact =
    String(value) === digits && (Number.isSafeInteger(value) || !Number.isInteger(value))
  return isExact || !NUMBER.test(digits) ? digits : `"${MARKER}${digits}"`
}

function endOfString(text: string, open: number): number {
  let close = text.indexOf('"', open + 1)
  while (close !== -1 && isEscaped(text, close)) {
    close = text.indexOf('"', close + 1)
  }
  return close === -1 ? text.length : close + 1
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text[at - 1 - backslashes] === '\\') {
    backslashes += 1
  }
  return backslashes % 2 === 1
}

/** Changes the parsed value in place: JSON.parse with a reviver takes several times longer. */
function withoutMarks(key: string, value: unknown): unknown {
  if (typeof value === 'string') {
    return value.startsWith(MARKER) ? exactNumber(key, value.slice(MARKER.length)) : value
  }
  if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      const exact = withoutMarks(name, member)
      if (exact !== member) {
        // An assignment to `__proto__` would set the prototype.
        Object.defineProperty(value, name, { value: exact })
      }
    }
  }
  return value
}

function exactNumber(key: string, digits: string): bigint | ExactNumber {
  return key === 'ForceUpdate' && /^[0-9]+$/.test(digits) ? BigInt(digits) : new ExactNumber(digits)
}
