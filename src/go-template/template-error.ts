// The error of message templates, with its line and column.

/** An invalid or unsupported template. The message contains the line and the column. */
export class TemplateError extends TypeError {
  override readonly name = 'TemplateError'
  /** The line, from 1. */
  readonly line: number
  /** The character in the line, from 1. */
  readonly column: number

  /**
   * @param fault The error.
   * @param place The source of the template, and the offset of the error.
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
 * Joins names for a sentence.
 *
 * @param names The names, at least one.
 * @returns `a`, `a and b`, or `a, b and c`.
 */
export function listOf(names: readonly string[]): string {
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter(Boolean).join(' and ')
}

/**
 * Creates the message for a field of a value without fields.
 *
 * @param name The name of the field.
 * @returns The message for a {@link TemplateError}.
 */
export function hasNoFields(name: string): string {
  return `the value before ".${name}" has no fields`
}
