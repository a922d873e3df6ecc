// How settings that are wrong are told: every fault is collected, and values are shown shortened.

/** Notes that a variable is wrong. Returns undefined, as the value that the variable has not. */
export type Fault = (variable: string, what: string) => undefined

/**
 * Shows a value in a message.
 *
 * @param value Any JSON value, or undefined.
 * @returns Its JSON, shortened; `missing` for undefined.
 */
export function shown(value: unknown): string {
  if (value === undefined) {
    return 'missing'
  }
  const text = JSON.stringify(value)
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
