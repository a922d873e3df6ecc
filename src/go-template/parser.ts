// Parses the tokens of a message template, by Go's grammar without the features that Deployer lacks.

import { type Expression, functionNames, type GoTemplate, type TemplateNode } from './ast.ts'
import { lex, type Token, type TokenKind } from './lexer.ts'
import { hasNoFields, listOf, TemplateError } from './template-error.ts'

// Keywords and functions of Go that Deployer does not support.
const UNSUPPORTED: ReadonlySet<string> = new Set([
  ...['block', 'break', 'continue', 'define', 'nil', 'range', 'template'],
  ...['call', 'ge', 'gt', 'index', 'js', 'le', 'len', 'lt', 'slice'],
])

const STARTS_OPERAND: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'word',
  'field',
  'dot',
  'variable',
  'string',
  'left-paren',
])

// The tokens after which Go's parser accepts a field. Other values have no fields.
const HAS_MEMBERS: ReadonlySet<TokenKind> = new Set<TokenKind>(['field', 'variable', 'left-paren'])

// Together with the lexer's limit on an action, it keeps recursion over the tree from exhausting the stack.
const MAX_DEPTH = 100

/**
 * Parses a template. Variables and types are checked by `check`.
 *
 * @param source The template.
 * @returns Its tree.
 * @throws TemplateError for the first error or unsupported feature.
 */
export function parse(source: string): GoTemplate {
  const tokens = createTokens(source)
  const template = parseNodes(tokens, 0)
  if (tokens.peek().kind !== 'end') throw unexpected(tokens, tokens.peek())
  return template
}

/** Parses up to the end of the source, or up to the `else` or `end` of an action. */
function parseNodes(tokens: Tokens, depth: number): GoTemplate {
  const nodes: TemplateNode[] = []
  for (;;) {
    const token = tokens.peek()
    if (token.kind === 'end') return nodes
    tokens.next()
    if (token.kind === 'text') nodes.push({ kind: 'text', text: token.text })
    else if (isWord(tokens.peek(), 'else', 'end')) return nodes
    else nodes.push(parseAction(tokens, depth))
  }
}

function parseAction(tokens: Tokens, depth: number): TemplateNode {
  if (isWord(tokens.peek(), 'if', 'with')) return parseControl(tokens, depth + 1)
  return { kind: 'output', value: parsePipeline(tokens, 'close') }
}

function parseControl(tokens: Tokens, depth: number): TemplateNode {
  const keyword = tokens.next()
  if (depth > MAX_DEPTH) throw tokens.fault(keyword, `more than ${MAX_DEPTH} nested actions`)

  const kind = keyword.text === 'with' ? 'with' : 'if'
  const value = parsePipeline(tokens, 'close')
  const body = parseNodes(tokens, depth)
  let otherwise: GoTemplate = []
  if (isWord(tokens.peek(), 'else')) {
    tokens.next()
    if (kind === 'if' && isWord(tokens.peek(), 'if')) {
      // Both share one {{end}}, which the inner action consumes.
      return { kind, value, body, otherwise: [parseControl(tokens, depth + 1)] }
    }
    if (kind === 'with' && isWord(tokens.peek(), 'with')) {
      throw tokens.fault(tokens.peek(), '"else with" is not supported by Deployer')
    }
    expect(tokens, 'close')
    otherwise = parseNodes(tokens, depth)
  }
  if (tokens.peek().kind === 'end') throw tokens.fault(keyword, `"${kind}" without {{end}}`)
  if (!isWord(tokens.peek(), 'end')) throw unexpected(tokens, tokens.peek())
  tokens.next()
  expect(tokens, 'close')
  return { kind, value, body, otherwise }
}

function parsePipeline(tokens: Tokens, closing: 'close' | 'right-paren'): Expression {
  let value = parseCommand(tokens)
  while (tokens.peek().kind === 'pipe') {
    tokens.next()
    value = parseCommand(tokens, value)
  }
  expect(tokens, closing)
  return value
}

/** Parses a function with its arguments, the piped value last, or a value without arguments. */
function parseCommand(tokens: Tokens, piped?: Expression): Expression {
  const start = tokens.peek()
  const first = parseOperand(tokens)
  const rest: Expression[] = []
  while (STARTS_OPERAND.has(tokens.peek().kind)) rest.push(parseOperand(tokens))

  // A call that does not start with a word is in parentheses and complete.
  if (first.kind === 'call' && start.kind === 'word') {
    return { ...first, arguments: piped ? [...rest, piped] : rest }
  }
  const [argument] = rest
  if (argument) throw tokens.fault(argument, 'only a function takes arguments')
  if (piped) throw tokens.fault(start, 'only a function can follow "|"')
  return first
}

function parseOperand(tokens: Tokens): Expression {
  const token = tokens.next()
  const operand = parseMembers(tokens, token, parseTerm(tokens, token))
  const after = tokens.peek()
  if (!after.spaced && STARTS_OPERAND.has(after.kind)) throw unexpected(tokens, after)
  return operand
}

/** Parses the `.commit` of `.Meta.commit`. Whether the value before it has members is checked later. */
function parseMembers(tokens: Tokens, start: Token, term: Expression): Expression {
  let value = term
  while (tokens.peek().kind === 'field' && !tokens.peek().spaced) {
    const { offset, text } = tokens.next()
    if (!HAS_MEMBERS.has(start.kind)) throw tokens.fault({ offset }, hasNoFields(text.slice(1)))
    value = { kind: 'member', offset, of: value, name: text.slice(1) }
  }
  return value
}

function parseTerm(tokens: Tokens, token: Token): Expression {
  const { offset, text } = token
  switch (token.kind) {
    case 'string':
      return { kind: 'string', offset, value: token.value }
    case 'dot':
      return { kind: 'dot', offset }
    case 'field':
      return { kind: 'field', offset, of: 'dot', name: text.slice(1) }
    case 'variable':
      return parseVariable(tokens, token)
    case 'word':
      return parseWord(tokens, token)
    case 'left-paren':
      return parsePipeline(tokens, 'right-paren')
    default:
      throw unexpected(tokens, token)
  }
}

/** Parses `$.Artifact`. Go's other variables, and `$` alone, are not supported. */
function parseVariable(tokens: Tokens, token: Token): Expression {
  if (token.text === '$' && tokens.peek().kind === 'field' && !tokens.peek().spaced) {
    const name = tokens.next().text.slice(1)
    return { kind: 'field', offset: token.offset, of: 'root', name }
  }
  throw tokens.fault(token, `the variable ${token.text} is not supported by Deployer`)
}

function parseWord(tokens: Tokens, token: Token): Expression {
  const { offset, text } = token
  if (text === 'true' || text === 'false') return { kind: 'bool', offset, value: text === 'true' }
  const name = functionNames.find((functionName) => functionName === text)
  if (name) return { kind: 'call', offset, name, arguments: [] }
  if (UNSUPPORTED.has(text)) throw tokens.fault(token, `"${text}" is not supported by Deployer`)
  if (isWord(token, 'if', 'with', 'else', 'end')) throw unexpected(tokens, token)
  const known = `the functions are ${listOf(functionNames)}; a variable begins with a dot`
  throw tokens.fault(token, `unknown function "${text}"; ${known}`)
}

function isWord(token: Token, ...words: readonly string[]): boolean {
  return token.kind === 'word' && words.includes(token.text)
}

function expect(tokens: Tokens, kind: 'close' | 'right-paren'): void {
  const token = tokens.next()
  if (token.kind === 'close' && kind === 'right-paren') throw tokens.fault(token, '")" is missing')
  if (token.kind !== kind) throw unexpected(tokens, token)
}

function unexpected(tokens: Tokens, token: Token): TemplateError {
  const isClose = token.kind === 'close'
  return tokens.fault(token, isClose ? 'a value is missing' : `unexpected "${token.text}"`)
}

/** The tokens of a source, with one token of lookahead. */
interface Tokens {
  peek(): Token
  next(): Token
  fault(at: { readonly offset: number }, fault: string): TemplateError
}

function createTokens(source: string): Tokens {
  const tokens = lex(source)
  let ahead: Token | undefined

  function peek(): Token {
    ahead ??= tokens.next().value
    return ahead
  }

  function next(): Token {
    const token = peek()
    ahead = undefined
    return token
  }

  function fault(at: { readonly offset: number }, message: string): TemplateError {
    return new TemplateError(message, { source, offset: at.offset })
  }

  return { peek, next, fault }
}
