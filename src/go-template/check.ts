// Checks the types of a parsed template before it is used: strings, bools and maps of strings.

import type { Call, Expression, Field, FunctionName, GoTemplate, Member } from './ast.ts'
import { hasNoFields, listOf, TemplateError } from './template-error.ts'

/** The types of the variables by name. A map has strings as values. */
export type Fields = Readonly<Record<string, 'string' | 'map'>>

/** The possible types of a value. `and` and `or` can have several. */
type ValueType = readonly ('string' | 'bool' | 'map')[]

/** The context of an expression: the template, the variables, and the type of the dot. */
interface Scope {
  readonly source: string
  readonly fields: Fields
  readonly dot: ValueType | 'root'
}

const STRING: ValueType = ['string']
const BOOL: ValueType = ['bool']

/**
 * Checks that the variables of a template exist and that its functions get arguments of valid types.
 *
 * @param template The tree.
 * @param options The source of the tree, and the variables.
 * @throws TemplateError for the first error or unsupported feature.
 */
export function check(
  template: GoTemplate,
  options: { readonly source: string; readonly fields: Fields },
): void {
  checkNodes(template, { ...options, dot: 'root' })
}

function checkNodes(template: GoTemplate, scope: Scope): void {
  for (const node of template) {
    if (node.kind === 'text') continue
    const type = typeOf(node.value, scope)
    if (node.kind === 'output') {
      if (isMaybeMap(type)) throw mapFault(node.value, scope, 'a map cannot be printed')
      continue
    }
    checkNodes(node.body, node.kind === 'with' ? { ...scope, dot: type } : scope)
    checkNodes(node.otherwise, scope)
  }
}

function typeOf(expression: Expression, scope: Scope): ValueType {
  switch (expression.kind) {
    case 'string':
      return STRING
    case 'bool':
      return BOOL
    case 'dot':
      if (scope.dot !== 'root') return scope.dot
      throw fault(expression, scope, '"." outside of "with" is not supported by Deployer')
    case 'field':
      return typeOfField(expression, scope)
    case 'member':
      return typeOfMember(expression, scope)
    case 'call':
      return typeOfCall(expression, scope)
  }
}

function typeOfField(field: Field, scope: Scope): ValueType {
  const isOfRoot = field.of === 'root' || scope.dot === 'root'
  if (!isOfRoot && isMap(scope.dot)) return STRING
  const type = Object.hasOwn(scope.fields, field.name) ? scope.fields[field.name] : undefined
  if (type === undefined) {
    const variables = Object.keys(scope.fields).map((name) => `.${name}`)
    const known = `the variables are ${listOf(variables)}`
    throw fault(field, scope, `unknown variable ".${field.name}"; ${known}`)
  }
  if (!isOfRoot) {
    const dot = scope.dot.join(' or ')
    const remedy = `write $.${field.name}`
    throw fault(field, scope, `inside "with" the dot is a ${dot} without fields; ${remedy}`)
  }
  return [type]
}

function typeOfMember(member: Member, scope: Scope): ValueType {
  if (isMap(typeOf(member.of, scope))) return STRING
  throw fault(member, scope, hasNoFields(member.name))
}

/** The minimum and maximum number of arguments of each function. */
const ARITY: Readonly<Record<FunctionName, readonly [least: number, most: number]>> = {
  and: [1, Infinity],
  eq: [2, Infinity],
  html: [0, Infinity],
  json: [1, 1],
  ne: [2, 2],
  not: [1, 1],
  or: [1, Infinity],
  print: [0, Infinity],
  printf: [1, Infinity],
  println: [0, Infinity],
  urlquery: [0, Infinity],
}

function typeOfCall(call: Call, scope: Scope): ValueType {
  const types = call.arguments.map((argument) => typeOf(argument, scope))
  const [least, most] = ARITY[call.name]
  if (types.length < least || types.length > most) {
    const wanted = least === most ? `${least}` : `at least ${least}`
    throw fault(call, scope, `arguments of "${call.name}": ${types.length}, not ${wanted}`)
  }
  switch (call.name) {
    case 'and':
    case 'or':
      return [...new Set(types.flat())]
    case 'eq':
    case 'ne':
      checkComparison(call, types, scope)
      return BOOL
    case 'not':
      return BOOL
    case 'json':
      return STRING
    case 'printf':
      checkFormat(call, types, scope)
      return STRING
    case 'html':
    case 'print':
    case 'println':
    case 'urlquery':
      checkNoMap(call, types, scope)
      return STRING
  }
}

function checkNoMap(call: Call, types: readonly ValueType[], scope: Scope): void {
  const map = call.arguments.find((_, index) => isMaybeMap(types[index] ?? []))
  if (map) throw mapFault(map, scope, `"${call.name}" does not take a map`)
}

function checkComparison(call: Call, types: readonly ValueType[], scope: Scope): void {
  checkNoMap(call, types, scope)
  if (types.some((type) => type.length > 1)) {
    const what = 'a comparison of a value that can be a string or a bool'
    throw fault(call, scope, `${what} is not supported by Deployer`)
  }
  if (new Set(types.flat()).size > 1) {
    throw fault(call, scope, 'a string and a bool cannot be compared')
  }
}

function checkFormat(call: Call, types: readonly ValueType[], scope: Scope): void {
  checkNoMap(call, types, scope)
  const [format] = call.arguments
  if (format?.kind !== 'string') {
    const what = '"printf" with a format that is no string literal'
    throw fault(call, scope, `${what} is not supported by Deployer`)
  }
  const verbs = (format.value.match(/%.?/gsu) ?? []).filter((verb) => verb !== '%%')
  const unsupported = verbs.find((verb) => verb !== '%s' && verb !== '%v')
  if (unsupported !== undefined) {
    throw fault(
      format,
      scope,
      `"${unsupported}" in a format is not supported by Deployer; %s and %v are`,
    )
  }
  if (verbs.length !== types.length - 1) {
    const counts = `verbs in the format: ${verbs.length}, values for them: ${types.length - 1}`
    throw fault(format, scope, counts)
  }
  const mismatch = verbs.findIndex(
    (verb, index) => verb === '%s' && types[index + 1]?.includes('bool'),
  )
  if (mismatch !== -1)
    throw fault(call.arguments[mismatch + 1] ?? call, scope, '%s takes a string; %v takes all')
}

function isMap(type: ValueType): boolean {
  return type.every((part) => part === 'map')
}

function isMaybeMap(type: ValueType): boolean {
  return type.includes('map')
}

function mapFault(map: Expression, scope: Scope, message: string): TemplateError {
  const name = nameOf(map, scope)
  const member = name === '.' ? '.name' : `${name}.name`
  return fault(map, scope, `${message}; write {{json ${name}}} or, for one value, {{${member}}}`)
}

/** The expression for a map in the template; for `and` and `or`, that of their first map. */
function nameOf(map: Expression, scope: Scope): string {
  if (map.kind === 'call') {
    const first = map.arguments.find((argument) => isMaybeMap(typeOf(argument, scope)))
    return first ? nameOf(first, scope) : '.'
  }
  return map.kind === 'field' ? `${map.of === 'root' ? '$' : ''}.${map.name}` : '.'
}

function fault(expression: Expression, scope: Scope, message: string): TemplateError {
  return new TemplateError(message, { source: scope.source, offset: expression.offset })
}
