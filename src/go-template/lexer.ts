// Splits a message template into tokens, exactly as Go's text/template/parse/lex.go does.

import { readString } from './string-literal.ts'
import { TemplateError } from './template-error.ts'

/** The kind of a token. `end` is the end of the source; it is repeated for ever. */
export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'word'
  | 'field'
  | 'dot'
  | 'variable'
  | 'string'
  | 'pipe'
  | 'left-paren'
  | 'right-paren'
  | 'end'

/** A token of the source. */
export interface Token {
  readonly kind: TokenKind
  readonly offset: number
  /** Whether there is white space before the token. */
  readonly spaced: boolean
  /** The token as it is written; a text after trimming. */
  readonly text: string
  /** The value of a string literal. */
  readonly value: string
}

// {{, with its trim marker if there is one: a minus sign with white space after it.
const OPEN = /\{\{(-[ \t\r\n])?/y
// }}, with its trim marker, mirrored, and the white space that the marker trims.
const CLOSE = /[ \t\r\n]-\}\}[ \t\r\n]*|\}\}/y
const SPACE = /[ \t\r\n]/y
// lex.go, isAlphaNumeric: an underscore, unicode.IsLetter or unicode.IsDigit.
const WORD = /[\p{L}\p{Nd}_]+/uy
const FIELD = /\.[\p{L}\p{Nd}_]*/uy
const VARIABLE = /\$[\p{L}\p{Nd}_]*/uy
const NUMBER = /(?:[+-]|\.?\d)[\p{L}\p{Nd}_.]*/uy
// lex.go, atTerminator: what can follow a word, a field or a variable.
const TERMINATOR = /[ \t\r\n.,|:()]|\}\}|$/y

// Limits the recursion of the parser. No real message has so many.
const MAX_TOKENS = 200

const PUNCTUATION: Readonly<Record<string, TokenKind>> = {
  '|': 'pipe',
  '(': 'left-paren',
  ')': 'right-paren',
}

/**
 * Splits a template into tokens, one at a time, so that the first error in the source is reported.
 *
 * @param source The template.
 * @returns The tokens, followed by any number of `end` tokens.
 * @throws TemplateError for a character that is not part of any token.
 */
export function* lex(source: string): Generator<Token, never> {
  let position = 0
  for (;;) {
    const open = source.indexOf('{{', position)
    if (open === -1) break
    const [opening = '', leftTrim] = match(OPEN, source, open) ?? []
    const text = source.slice(position, open)
    yield* lexText(position, leftTrim ? trimEnd(text) : text)
    position = open + opening.length
    if (source.startsWith('/*', position)) {
      position = skipComment(source, position)
    } else {
      yield token('open', open, opening)
      position = yield* lexAction(source, { open, position })
    }
  }
  yield* lexText(position, source.slice(position))
  for (;;) yield token('end', source.length, '')
}

function* lexText(offset: number, text: string): Generator<Token, void> {
  if (text) yield token('text', offset, text)
}

/** Trims Go's white space, which has fewer characters than that of JavaScript's `trimEnd`. */
function trimEnd(text: string): string {
  let end = text.length
  while (end > 0 && match(SPACE, text, end - 1)) end -= 1
  return text.slice(0, end)
}

function skipComment(source: string, offset: number): number {
  const stars = source.indexOf('*/', offset + 2)
  if (stars === -1) throw new TemplateError('unclosed comment', { source, offset })
  const [closing] = match(CLOSE, source, stars + 2) ?? []
  if (closing !== undefined) return stars + 2 + closing.length
  throw new TemplateError('a comment must end right before "}}" or " -}}"', {
    source,
    offset: stars + 2,
  })
}

function* lexAction(
  source: string,
  start: { readonly open: number; readonly position: number },
): Generator<Token, number> {
  let position = start.position
  let spaced = false
  let count = 0
  while (position < source.length) {
    const [closing] = match(CLOSE, source, position) ?? []
    if (closing !== undefined) {
      yield token('close', position, closing)
      return position + closing.length
    }
    if (match(SPACE, source, position)) {
      position += 1
      spaced = true
    } else {
      const next = readToken(source, position)
      count += 1
      if (count > MAX_TOKENS) {
        const fault = `more than ${MAX_TOKENS} words and signs in one action`
        throw new TemplateError(fault, { source, offset: position })
      }
      yield { ...next, spaced }
      position += next.text.length
      spaced = false
    }
  }
  throw new TemplateError('unclosed action', { source, offset: start.open })
}

function readToken(source: string, offset: number): Token {
  const first = source.charAt(offset)
  if (first === '"' || first === '`') {
    const { value, end } = readString(source, offset)
    return { ...token('string', offset, source.slice(offset, end)), value }
  }

  const punctuation = PUNCTUATION[first]
  if (punctuation) return token(punctuation, offset, first)

  const [number] = match(NUMBER, source, offset) ?? []
  if (number !== undefined) throw new TemplateError(numberFault(number), { source, offset })
  if (first === "'") {
    throw new TemplateError("a character ('x') is not supported by Deployer", { source, offset })
  }

  const [name] =
    match(WORD, source, offset) ??
    match(FIELD, source, offset) ??
    match(VARIABLE, source, offset) ??
    []
  if (name === undefined) throw badCharacter(source, offset)
  const end = offset + name.length
  if (!match(TERMINATOR, source, end)) throw badCharacter(source, end)
  if (name === '.') return token('dot', offset, name)
  if (name.startsWith('$')) return token('variable', offset, name)
  return token(name.startsWith('.') ? 'field' : 'word', offset, name)
}

function numberFault(number: string): string {
  return /^[+-]?\.?\d/.test(number)
    ? `the number ${number} is not supported by Deployer`
    : `bad number "${number}"; a trim marker has white space beside it: "{{- " and " -}}"`
}

function badCharacter(source: string, offset: number): TemplateError {
  const character = String.fromCodePoint(source.codePointAt(offset) ?? 0)
  return new TemplateError(`unexpected ${JSON.stringify(character)}`, { source, offset })
}

function token(kind: TokenKind, offset: number, text: string): Token {
  return { kind, offset, spaced: false, text, value: '' }
}

/** Matches a sticky expression at an offset. */
function match(expression: RegExp, source: string, offset: number): RegExpExecArray | null {
  expression.lastIndex = offset
  return expression.exec(source)
}
