// Parses and checks message templates, which are a subset of Go's text/template.

import type { GoTemplate } from './ast.ts'
import { check, type Fields } from './check.ts'
import { parse } from './parser.ts'

/**
 * Parses a message template. The output of an accepted template is that of Go, byte for byte. A template is
 * rejected when Go would reject it, when Go could fail to execute it for some values, or when it uses a
 * feature that Deployer does not support.
 *
 * @param source The template.
 * @param options The types of the variables by name.
 * @returns The template's tree.
 * @throws TemplateError with the line and column of the error or of the unsupported feature.
 */
export function parseGoTemplate(source: string, options: { readonly fields: Fields }): GoTemplate {
  const template = parse(source)
  check(template, { source, fields: options.fields })
  return template
}
