// Parses durations such as `50`, `50s`, `5m` and `1h`, and prints them as Go does: `1m12.4s`.

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/**
 * Parses a duration.
 *
 * @param text Whole seconds, or a whole number and `s`, `m` or `h`.
 * @returns Milliseconds; undefined for any other text.
 */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = 's'] = /^([0-9]{1,9})([smh])?$/.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits) * (UNITS[unit] ?? 0)
}

/**
 * Prints a duration as Go's time.Duration does.
 *
 * @param milliseconds Whole milliseconds, which may be negative.
 * @returns `0s`, `850ms`, `12.4s`, `1h0m5s`.
 */
export function goDuration(milliseconds: number): string {
  if (milliseconds < 0) {
    return `-${goDuration(-milliseconds)}`
  }
  if (milliseconds > 0 && milliseconds < 1000) {
    return `${milliseconds}ms`
  }
  const hours = Math.floor(milliseconds / 3_600_000)
  const minutes = Math.floor(milliseconds / 60_000)
  const seconds = `${(milliseconds % 60_000) / 1000}s`
  const underHours = minutes > 0 ? `${minutes % 60}m${seconds}` : seconds
  return hours > 0 ? `${hours}h${underHours}` : underHours
}
