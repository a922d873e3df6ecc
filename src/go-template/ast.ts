// The syntax tree of a message template. A pipeline is a call whose last argument is the piped value.

/** The functions of Go's text/template that Deployer supports, and `json`. */
export const functionNames = [
  'and',
  'eq',
  'html',
  'json',
  'ne',
  'not',
  'or',
  'print',
  'printf',
  'println',
  'urlquery',
] as const

/** One of {@link functionNames}. */
export type FunctionName = (typeof functionNames)[number]

/** A parsed template: its parts in order. */
export type GoTemplate = readonly TemplateNode[]

/** A part of a template. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly value: Expression }
  | ControlNode

/** A condition with two bodies. In the first body of `with`, the dot is the value of the condition. */
export interface ControlNode {
  readonly kind: 'if' | 'with'
  readonly value: Expression
  readonly body: GoTemplate
  readonly otherwise: GoTemplate
}

/** An expression, and its offset in the source. */
export type Expression = StringLiteral | BoolLiteral | Dot | Field | Member | Call

/** `"text"` or a string in backquotes, with its escapes resolved. */
export interface StringLiteral {
  readonly kind: 'string'
  readonly offset: number
  readonly value: string
}

/** `true` or `false`. */
export interface BoolLiteral {
  readonly kind: 'bool'
  readonly offset: number
  readonly value: boolean
}

/** `.`, the value of the innermost `with`. */
export interface Dot {
  readonly kind: 'dot'
  readonly offset: number
}

/** `.Artifact`, looked up in the dot, or `$.Artifact`, looked up at the root. */
export interface Field {
  readonly kind: 'field'
  readonly offset: number
  readonly of: 'dot' | 'root'
  readonly name: string
}

/** `.commit` after an expression, as in `.Meta.commit`. The offset is that of its own dot. */
export interface Member {
  readonly kind: 'member'
  readonly offset: number
  readonly of: Expression
  readonly name: string
}

/** A function with its arguments, such as `eq .ServiceName "blog"`. */
export interface Call {
  readonly kind: 'call'
  readonly offset: number
  readonly name: FunctionName
  readonly arguments: readonly Expression[]
}
