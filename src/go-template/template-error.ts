// The one error of message templates: a place in the template and what is wrong there.

/** What Deployer refuses of a template, at construction; the message names the place. */
export class TemplateError extends TypeError {
  override readonly name = 'TemplateError'
  /** The line, from 1. */
  readonly line: number
  /** The character in the line, from 1. */
  readonly column: number

  /**
   * @param fault What is wrong.
   * @param place The template's source, and where in it the fault is.
   */
  constructor(fault: string, place: { readonly source: string; readonly offset: number }) {
    const lines = place.source.slice(0, place.offset).split('\n')
    const line = lines.length
    const column = [...(lines.at(-1) ?? '')].length + 1
    super(`line ${line}, column ${column}: ${fault}`)
    this.line = line
    this.column = column
  }
}

/**
 * Writes names as a sentence has them.
 *
 * @param names The names, at least one.
 * @returns `a`, `a and b`, or `a, b and c`.
 */
export function listOf(names: readonly string[]): string {
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter(Boolean).join(' and ')
}

/**
 * Says that something is looked up where there is nothing to be found.
 *
 * @param name The name of what is looked up.
 * @returns What is wrong, for a {@link TemplateError}.
 */
export function hasNoFields(name: string): string {
  return `the value before ".${name}" has no fields`
}
