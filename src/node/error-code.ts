// The codes of Node's errors, such as `ENOENT`.

/**
 * Returns the code of an error.
 *
 * @param error A value that was thrown.
 * @returns The code; undefined if it has none.
 */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/**
 * Creates a handler for `catch` that ignores some errors.
 *
 * @param codes The codes of the errors to ignore.
 * @returns A function that throws its argument unless it is one of these errors.
 */
export function ignoreErrors(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes(errorCode(error) ?? '')) {
      throw error
    }
  }
}
