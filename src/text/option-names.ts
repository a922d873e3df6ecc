// The names of options: an unknown one is probably a spelling mistake.

/**
 * Checks the names of options.
 *
 * @param options The options that an embedder passed, of any type.
 * @param known The names of all options.
 * @throws TypeError for an unknown name. It names the closest known one.
 */
export function checkOptionNames(options: unknown, known: readonly string[]): void {
  const names = typeof options === 'object' && options !== null ? Object.keys(options) : []
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot use the option \`${unknown.slice(0, 100)}\`: there is no such option; the closest one is \`${closest(unknown, known)}\``,
    )
  }
}

function closest(name: string, known: readonly string[]): string {
  const distanceTo = (other: string): number =>
    editDistance(name.slice(0, 100).toLowerCase(), other.toLowerCase())
  return known.reduce((best, other) => (distanceTo(other) < distanceTo(best) ? other : best))
}

/** The Levenshtein distance of two texts: how many characters differ, are missing or are too many. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [i, char] of [...from].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...to].entries()) {
      const [above = 0, diagonal = 0, left = 0] = [row[j + 1], row[j], next[j]]
      next.push(Math.min(above + 1, left + 1, diagonal + (char === other ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
