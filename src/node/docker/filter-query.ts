// The `filters` query of the engine's lists and streams.

/**
 * Builds the query.
 *
 * @param filters Accepted values by filter name, such as `{ label: ['a=b'] }`.
 * @returns The query parameters.
 */
export function filterQuery(
  filters: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, string>> {
  return { filters: JSON.stringify(filters) }
}
