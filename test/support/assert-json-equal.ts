// The one assertion of the behaviour suite: it must run where neither vitest nor `node:assert`
// does.

/**
 * Throws unless both values have the same JSON.
 *
 * @param actual The actual value.
 * @param expected The expected value.
 */
export function equal(actual: unknown, expected: unknown): void {
  const [actualJson, expectedJson] = [print(actual), print(expected)]
  if (actualJson !== expectedJson) {
    throw new Error(`expected ${expectedJson}\nbut got  ${actualJson}`)
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
