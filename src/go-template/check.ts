// The types of a parsed template, checked before it ever runs: a value is a string or a bool.

import type { Call, Expression, Field, FunctionName, GoTemplate } from './ast.ts'
import { listOf, TemplateFault } from './fault.ts'

/** What a value is known to be. `and` and `or` may give either. */
type ValueType = 'string' | 'bool' | 'string or bool'

/** Where an expression stands: the template around it, and what its dot is. */
interface Scope {
  readonly source: string
  readonly fields: readonly string[]
  readonly dot: ValueType | 'root'
}

/**
 * Checks that a template's variables exist and that its functions can take what they are given.
 *
 * @param template The tree.
 * @param options The source that the tree came from, and the names of the variables.
 * @throws TemplateFault at the first thing that is wrong or not supported.
 */
export function check(
  template: GoTemplate,
  options: { readonly source: string; readonly fields: readonly string[] },
): void {
  checkNodes(template, { ...options, dot: 'root' })
}

function checkNodes(template: GoTemplate, scope: Scope): void {
  for (const node of template) {
    if (node.kind === 'text') continue
    const type = typeOf(node.value, scope)
    if (node.kind === 'output') continue
    checkNodes(node.body, node.kind === 'with' ? { ...scope, dot: type } : scope)
    checkNodes(node.otherwise, scope)
  }
}

function typeOf(expression: Expression, scope: Scope): ValueType {
  switch (expression.kind) {
    case 'string':
    case 'bool':
      return expression.kind
    case 'dot':
      if (scope.dot !== 'root') return scope.dot
      throw fault(expression, scope, '"." outside of "with" is not supported by Deployer')
    case 'field':
      return typeOfField(expression, scope)
    case 'call':
      return typeOfCall(expression, scope)
  }
}

function typeOfField(field: Field, scope: Scope): ValueType {
  const variables = scope.fields.map((name) => `.${name}`)
  if (!scope.fields.includes(field.name)) {
    const known = `the variables are ${listOf(variables)}`
    throw fault(field, scope, `unknown variable ".${field.name}"; ${known}`)
  }
  if (field.of === 'dot' && scope.dot !== 'root') {
    const remedy = `write $.${field.name}`
    throw fault(field, scope, `inside "with" the dot is a ${scope.dot} without fields; ${remedy}`)
  }
  return 'string'
}

/** How many arguments a function takes, at least and at most. */
const ARITY: Readonly<Record<FunctionName, readonly [least: number, most: number]>> = {
  and: [1, Infinity],
  eq: [2, Infinity],
  html: [0, Infinity],
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
      return types.reduce((joined, type) => (type === joined ? type : 'string or bool'))
    case 'eq':
    case 'ne':
      checkComparison(call, types, scope)
      return 'bool'
    case 'not':
      return 'bool'
    case 'printf':
      checkFormat(call, types, scope)
      return 'string'
    case 'html':
    case 'print':
    case 'println':
    case 'urlquery':
      return 'string'
  }
}

function checkComparison(call: Call, types: readonly ValueType[], scope: Scope): void {
  if (types.includes('string or bool')) {
    const what = 'comparing what may be a string or a bool'
    throw fault(call, scope, `${what} is not supported by Deployer`)
  }
  if (new Set(types).size > 1) throw fault(call, scope, 'a string and a bool cannot be compared')
}

function checkFormat(call: Call, types: readonly ValueType[], scope: Scope): void {
  const [format] = call.arguments
  if (format?.kind !== 'string') {
    const what = '"printf" with a format that is no string literal'
    throw fault(call, scope, `${what} is not supported by Deployer`)
  }
  const verbs = (format.value.match(/%.?/gsu) ?? []).filter((verb) => verb !== '%%')
  const strange = verbs.find((verb) => verb !== '%s' && verb !== '%v')
  if (strange !== undefined) {
    throw fault(
      format,
      scope,
      `"${strange}" in a format is not supported by Deployer; %s and %v are`,
    )
  }
  if (verbs.length !== types.length - 1) {
    const counts = `verbs in the format: ${verbs.length}, values for them: ${types.length - 1}`
    throw fault(format, scope, counts)
  }
  const misfit = verbs.findIndex((verb, index) => verb === '%s' && types[index + 1] !== 'string')
  if (misfit !== -1)
    throw fault(call.arguments[misfit + 1] ?? call, scope, '%s takes a string; %v takes all')
}

function fault(expression: Expression, scope: Scope, message: string): TemplateFault {
  return new TemplateFault(message, { source: scope.source, offset: expression.offset })
}
