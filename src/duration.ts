// Durations as people write them: `50`, `50s`, `5m`, `1h`.

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/**
 * Reads a duration.
 *
 * @param text Whole seconds, or a whole number and `s`, `m` or `h`.
 * @returns Milliseconds, or undefined when that is no duration.
 */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = 's'] = /^([0-9]{1,9})([smh])?$/.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits) * (UNITS[unit] ?? 0)
}
