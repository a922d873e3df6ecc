// Parses string literals as Go's strconv.Unquote does.

import { TemplateError } from './template-error.ts'

/** A parsed string literal. */
export interface ReadString {
  readonly value: string
  /** The offset after the closing quote. */
  readonly end: number
}

/**
 * Parses a string literal.
 *
 * @param source The template.
 * @param offset The offset of the opening quote, `"` or a backquote.
 * @returns The literal's value and end.
 * @throws TemplateError when the literal has no end or an invalid escape.
 */
export function readString(source: string, offset: number): ReadString {
  return source[offset] === '`' ? readRaw(source, offset) : readInterpreted(source, offset)
}

function readRaw(source: string, offset: number): ReadString {
  const close = source.indexOf('`', offset + 1)
  if (close === -1) throw new TemplateError('unterminated raw string', { source, offset })
  // strconv.Unquote: "Carriage return characters ('\r') inside raw string literals are discarded".
  return { value: source.slice(offset + 1, close).replaceAll('\r', ''), end: close + 1 }
}

function readInterpreted(source: string, offset: number): ReadString {
  let value = ''
  let position = offset + 1
  while (source[position] !== '"') {
    const character = source[position]
    if (character === undefined || character === '\n') {
      throw new TemplateError('unterminated string', { source, offset })
    }
    if (character === '\\') {
      const escaped = readEscape(source, position)
      value += escaped.value
      position = escaped.end
    } else {
      value += character
      position += 1
    }
  }
  return { value, end: position + 1 }
}

const NAMED: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
}

const ESCAPE = /\\(?:([abfnrtv\\"])|x([\dA-Fa-f]{2})|([0-7]{3})|u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8}))/y

function readEscape(source: string, offset: number): ReadString {
  ESCAPE.lastIndex = offset
  const [written, named, hex, octal, short, long] = ESCAPE.exec(source) ?? []
  if (written === undefined) throw new TemplateError('bad escape in a string', { source, offset })
  const end = offset + written.length
  if (named !== undefined) return { value: NAMED[named] ?? '', end }

  const isByte = hex !== undefined || octal !== undefined
  const code = octal ? Number.parseInt(octal, 8) : Number.parseInt(hex ?? short ?? long ?? '', 16)
  if (isByte && code >= 0x80) {
    // In Go it is a byte, not a character: a part of a UTF-8 sequence.
    const fault = `${written}, a byte above \\x7f, is not supported by Deployer`
    throw new TemplateError(fault, { source, offset })
  }
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw new TemplateError(`${written} is not a character`, { source, offset })
  }
  return { value: String.fromCodePoint(code), end }
}
