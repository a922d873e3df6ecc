// The query with which the engine's lists and streams are asked for a part only.

/**
 * Writes the query.
 *
 * @param filters The values that will do, by the name of what must have them.
 * @returns The query's members.
 */
export function filterQuery(
  filters: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, string>> {
  return { filters: JSON.stringify(filters) }
}
