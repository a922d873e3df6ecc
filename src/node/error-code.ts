// The codes of Node's errors, such as `ENOENT`.

/**
 * Tells the code of an error.
 *
 * @param error Whatever was thrown.
 * @returns Its code; undefined when it has none.
 */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/**
 * Forgives some errors.
 *
 * @param codes Those of the errors that are none.
 * @returns A function that throws any other error that it is given.
 */
export function unless(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes(codeOf(error) ?? '')) {
      throw error
    }
  }
}
