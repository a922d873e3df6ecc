// JSON that goes through Deployer unharmed: numbers that JavaScript cannot hold keep their digits.

/** A number that JavaScript cannot hold, or prints otherwise: its digits, and nearly its value. */
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

// Stands before the digits of such a number while JSON.parse or JSON.stringify is at work. Nobody
// else's text has it.
const MARK = crypto.randomUUID()
const MARKED = new RegExp(`"${MARK}([^"]+)"`, 'g')
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/
// Within a string the quotes would be escaped, so this is a key and its number.
const LARGE_FORCE_UPDATE = /"ForceUpdate":\s*[0-9]{16}/
const NUMBERS = /-?[0-9][0-9.eE+-]*/g

/**
 * Reads JSON that is written back.
 *
 * @param text JSON text.
 * @returns The value. A number is a `number` where that is exact and prints as it was written. Any
 *   other one is a bigint where it is a `ForceUpdate`, and else an opaque object;
 *   {@link stringifyJson} prints both as they were written.
 * @throws SyntaxError when the text is not JSON.
 */
export function parseJson(text: string): unknown {
  const marked = markNumbers(text)
  const value: unknown = JSON.parse(marked ?? text)
  return marked === undefined ? value : withoutMarks('', value)
}

/**
 * Reads JSON that is never written back, as fast as JSON.parse.
 *
 * @param text JSON text.
 * @returns The value. A large `ForceUpdate` is exact, as {@link parseJson} gives it; other numbers
 *   are what JavaScript makes of them.
 * @throws SyntaxError when the text is not JSON.
 */
export function parseReadOnlyJson(text: string): unknown {
  return LARGE_FORCE_UPDATE.test(text) ? parseJson(text) : JSON.parse(text)
}

/**
 * Writes JSON.
 *
 * @param value What {@link parseJson} returned, or parts of it in other arrangement.
 * @returns JSON text with every number as it was read.
 */
export function stringifyJson(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => {
    const isExact = typeof part === 'bigint' || part instanceof ExactNumber
    return isExact ? `${MARK}${part}` : part
  })
  return (text ?? 'null').replace(MARKED, '$1')
}

/** Undefined: each number survives. A regular expression for strings would fail at long ones. */
function markNumbers(text: string): string | undefined {
  let marked = ''
  let copied = 0
  let at = 0
  while (at < text.length) {
    const quote = text.indexOf('"', at)
    const end = quote === -1 ? text.length : quote
    if (end - at > 1) {
      const between = text.slice(at, end)
      const exact = between.replace(NUMBERS, marking)
      if (exact !== between) {
        marked += text.slice(copied, at) + exact
        copied = end
      }
    }
    at = quote === -1 ? text.length : endOfString(text, quote)
  }
  return copied === 0 ? undefined : marked + text.slice(copied)
}

/** What is no JSON number stays as it is, for JSON.parse to refuse. */
function marking(digits: string): string {
  const value = Number(digits)
  // Every second number above 2^53 prints as it was written; none of them can be added to.
  const isHeld =
    String(value) === digits && (Number.isSafeInteger(value) || !Number.isInteger(value))
  return isHeld || !NUMBER.test(digits) ? digits : `"${MARK}${digits}"`
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

/** Changes what was just parsed in place: JSON.parse with a reviver takes several times longer. */
function withoutMarks(key: string, value: unknown): unknown {
  if (typeof value === 'string') {
    return value.startsWith(MARK) ? exactNumber(key, value.slice(MARK.length)) : value
  }
  if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      const exact = withoutMarks(name, member)
      if (exact !== member) {
        // An assignment to `__proto__` would be another thing.
        Object.defineProperty(value, name, { value: exact })
      }
    }
  }
  return value
}

function exactNumber(key: string, digits: string): bigint | ExactNumber {
  return key === 'ForceUpdate' && /^[0-9]+$/.test(digits) ? BigInt(digits) : new ExactNumber(digits)
}
