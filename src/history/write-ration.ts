// How often a process may write histories.

/** Starts of writes, of which only some are allowed in a second. */
export interface WriteRation {
  /**
   * Takes one write.
   *
   * @param atMs The current time, in milliseconds of any clock that does not go back.
   * @returns Whether a write may start now.
   */
  take(atMs: number): boolean
  /** When the next write may start, in milliseconds. */
  nextAt(): number
}

const PERIOD_MS = 1000

/**
 * Creates a ration.
 *
 * @param maxPerSecond How many writes may start within a second.
 * @returns The ration; nothing is taken yet.
 */
export function createWriteRation(maxPerSecond: number): WriteRation {
  let starts: readonly number[] = []
  const nextAt = (): number => {
    const [oldest = Number.NEGATIVE_INFINITY] = starts
    return starts.length < maxPerSecond ? Number.NEGATIVE_INFINITY : oldest + PERIOD_MS
  }
  return {
    nextAt,
    take(atMs) {
      const isAllowed = atMs >= nextAt()
      starts = isAllowed ? [...starts, atMs].slice(-maxPerSecond) : starts
      return isAllowed
    },
  }
}
