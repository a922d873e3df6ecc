// The functions of message templates, with the results of Go's text/template/funcs.go and fmt.

import type { FunctionName } from './ast.ts'

/** The metadata of a deployment. Names and values can be any text. */
export type TextMap = Readonly<Record<string, string>>

/** The value of an expression. */
export type Value = string | boolean | TextMap

/** The functions. `check` ensures that their arguments have valid types. */
export const functions: Readonly<Record<FunctionName, (...values: readonly Value[]) => Value>> = {
  and: (...values) => values.find((value) => !isTrue(value)) ?? lastOf(values),
  eq: (first, ...others) => others.includes(first ?? ''),
  html: (...values) => escapeHtml(sprint(values)),
  json: (value = '') => toJson(value),
  ne: (first, second) => first !== second,
  not: (value = '') => !isTrue(value),
  or: (...values) => values.find(isTrue) ?? lastOf(values),
  print: (...values) => sprint(values),
  printf: (format, ...values) => sprintf(String(format), values),
  println: (...values) => `${values.join(' ')}\n`,
  urlquery: (...values) => escapeQuery(sprint(values)),
}

/**
 * Whether a condition is true, by the rule of Go's template.IsTrue.
 *
 * @param value The condition.
 * @returns False for `false`, an empty string and an empty map.
 */
export function isTrue(value: Value): boolean {
  return typeof value === 'object' ? Object.keys(value).length > 0 : Boolean(value)
}

/**
 * Gets a value of a map, as a Go template with the option `missingkey=zero` does.
 *
 * @param map The map.
 * @param name The name. It can be that of a property that each JavaScript object has.
 * @returns The value; empty when the map does not contain the name.
 */
export function memberOf(map: TextMap, name: string): string {
  return Object.hasOwn(map, name) ? (map[name] ?? '') : ''
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

/** Like url.QueryEscape, which does not escape letters, digits, `-`, `_`, `.` and `~`. */
function escapeQuery(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}

/** Like json.Marshal, which sorts a map by name. */
function toJson(value: Value): string {
  if (typeof value !== 'object') return typeof value === 'string' ? quoteJson(value) : `${value}`
  const names = Object.keys(value).sort()
  const members = names.map((name) => `${quoteJson(name)}:${quoteJson(memberOf(value, name))}`)
  return `{${members.join(',')}}`
}

/** A lone surrogate is no character, and some parsers reject its escape. */
function quoteJson(text: string): string {
  const quoted = JSON.stringify(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
  return quoted.replace(/[<>&\u2028\u2029]/g, (sign) => {
    return `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
