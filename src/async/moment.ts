// Moments, in the order in which they came. A clock does not tell that order: workerd's stands still
// between two waits, and any clock gives equal times to what happens fast enough.

let latest = 0

/**
 * The present moment.
 *
 * @returns A number that is greater than that of every earlier call in this process.
 */
export function thisMoment(): number {
  latest += 1
  return latest
}
