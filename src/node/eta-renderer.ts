// Renders message templates with Eta: the tree of a Go template is converted to Eta code, and compiled once.

import { Eta } from 'eta'
import type { ControlNode, Expression, GoTemplate, TemplateNode } from '../go-template/ast.ts'
import { functions, isTrue, memberOf } from '../go-template/functions.ts'
import { parseGoTemplate } from '../go-template/index.ts'
import { messageFields } from '../notification/message-data.ts'
import type { MessageData, Renderer } from '../notification/renderer.ts'

/**
 * Compiles a message template, written in the subset of Go's text/template that Deployer supports.
 *
 * @param template The template. Its text reaches JavaScript only as data.
 * @returns The renderer of the template.
 * @throws TemplateError if the template is invalid or uses an unsupported feature.
 * @example
 * ```ts
 * const renderer = createEtaRenderer('{{.ServiceName}} runs {{.Artifact}}: {{.Meta.commit}}')
 * renderer.render(data) // where data is the MessageData of an event
 * ```
 */
export function createEtaRenderer(template: string): Renderer {
  const tree = parseGoTemplate(template, { fields: messageFields })
  const eta = new Eta({ autoEscape: false, autoTrim: false })
  const compiled = eta.compile(writeNodes(tree, 0))

  function render(data: MessageData): string {
    return eta.render(compiled, { data, functions, isTrue, memberOf, dots: [] })
  }

  return { render }
}

// In the following functions, `depth` is the number of `with` actions around a node: `it.dots[2]` is the
// dot inside the second of them.

function writeNodes(template: GoTemplate, depth: number): string {
  return template.map((node) => writeNode(node, depth)).join('')
}

function writeNode(node: TemplateNode, depth: number): string {
  switch (node.kind) {
    case 'text':
      return `<%~ ${quote(node.text)} %>`
    case 'output':
      return `<%~ ${writeValue(node.value, depth)} %>`
    case 'if':
    case 'with':
      return writeControl(node, depth)
  }
}

function writeControl(node: ControlNode, depth: number): string {
  const inner = node.kind === 'with' ? depth + 1 : depth
  const value = writeValue(node.value, depth)
  const condition = node.kind === 'with' ? `it.dots[${inner}] = ${value}` : value
  const body = writeNodes(node.body, inner)
  const otherwise = writeNodes(node.otherwise, depth)
  return `<% if (it.isTrue(${condition})) { %>${body}<% } else { %>${otherwise}<% } %>`
}

function writeValue(expression: Expression, depth: number): string {
  switch (expression.kind) {
    case 'string':
      return quote(expression.value)
    case 'bool':
      return String(expression.value)
    case 'dot':
      return `it.dots[${depth}]`
    case 'field':
      // Inside a `with`, the parser allows fields of the dot only if the dot is a map.
      return expression.of === 'root' || depth === 0
        ? `it.data[${quote(expression.name)}]`
        : `it.memberOf(it.dots[${depth}], ${quote(expression.name)})`
    case 'member':
      return `it.memberOf(${writeValue(expression.of, depth)}, ${quote(expression.name)})`
    case 'call': {
      const values = expression.arguments.map((argument) => writeValue(argument, depth))
      return `it.functions.${expression.name}(${values.join(', ')})`
    }
  }
}

/** Writes a string literal without characters that are special in Eta or in JavaScript. */
function quote(text: string): string {
  const escaped = text.replace(/[^A-Za-z0-9 ]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
  return `"${escaped}"`
}
