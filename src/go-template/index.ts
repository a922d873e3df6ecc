// The subset of Go's text/template that messages are written in: a source gives a checked tree.

import type { GoTemplate } from './ast.ts'
import { check, type Fields } from './check.ts'
import { parse } from './parser.ts'

/**
 * Parses a message template. What it accepts means what it means to Go, to the byte; what Go would
 * refuse, at parsing or for whatever values at execution, and what Deployer does not have, is
 * refused.
 *
 * @param source The template.
 * @param options The variables by name, and what each is.
 * @returns The template's tree.
 * @throws TemplateError with the line and column of what is wrong or not supported.
 */
export function parseGoTemplate(source: string, options: { readonly fields: Fields }): GoTemplate {
  const template = parse(source)
  check(template, { source, fields: options.fields })
  return template
}
