// What the functions of a message template do, as Go's text/template/funcs.go and fmt do it.

import type { FunctionName } from './ast.ts'

/** All that an expression can come to. */
export type Value = string | boolean

/** The functions; the check has seen to it that they are called with what they take. */
export const functions: Readonly<Record<FunctionName, (...values: readonly Value[]) => Value>> = {
  and: (...values) => values.find((value) => !value) ?? lastOf(values),
  eq: (first, ...others) => others.includes(first ?? ''),
  html: (...values) => escapeHtml(sprint(values)),
  ne: (first, second) => first !== second,
  not: (value) => !value,
  or: (...values) => values.find(Boolean) ?? lastOf(values),
  print: (...values) => sprint(values),
  printf: (format, ...values) => sprintf(String(format), values),
  println: (...values) => `${values.join(' ')}\n`,
  urlquery: (...values) => escapeQuery(sprint(values)),
}

function lastOf(values: readonly Value[]): Value {
  return values.at(-1) ?? ''
}

/** Like fmt.Sprint: "Spaces are added between operands when neither is a string". */
function sprint(values: readonly Value[]): string {
  return values.reduce<string>((text, value, index) => {
    const isBetweenBools =
      index > 0 && typeof value !== 'string' && typeof values[index - 1] !== 'string'
    return `${text}${isBetweenBools ? ' ' : ''}${value}`
  }, '')
}

function sprintf(format: string, values: readonly Value[]): string {
  const rest = values.values()
  return format.replace(/%[sv%]/g, (verb) => (verb === '%%' ? '%' : String(rest.next().value)))
}

const HTML: Readonly<Record<string, string>> = {
  '\0': '\uFFFD',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
}

/** Like template.HTMLEscapeString. */
function escapeHtml(text: string): string {
  return text.replace(/[\0"'&<>]/g, (character) => HTML[character] ?? character)
}

/** Like url.QueryEscape, which leaves letters, digits, `-`, `_`, `.` and `~` alone. */
function escapeQuery(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}
