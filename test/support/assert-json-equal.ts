// The one assertion of the behaviour suite: it must run where neither vitest nor `node:assert` does.

/**
 * Fails unless both values are the same JSON.
 *
 * @param actual What came.
 * @param expected What should have come.
 */
export function equal(actual: unknown, expected: unknown): void {
  const [came, wanted] = [print(actual), print(expected)]
  if (came !== wanted) {
    throw new Error(`expected ${wanted}\nbut got  ${came}`)
  }
}

function print(value: unknown): string {
  return String(JSON.stringify(value, (_, part) => (isPlain(part) ? sorted(part) : part)))
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sorted(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
