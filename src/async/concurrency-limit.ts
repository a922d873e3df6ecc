// Limits how many pieces of work run at the same time.

/** Runs work once fewer than the maximum are running; work that waits is started in its order. */
export type ConcurrencyLimit = <T>(work: () => Promise<T>) => Promise<T>

/**
 * Creates a limit.
 *
 * @param max How many pieces of work may run at the same time.
 * @returns A function that runs work, and returns its result.
 */
export function createConcurrencyLimit(max: number): ConcurrencyLimit {
  const waiting: (() => void)[] = []
  let running = 0

  function end(): void {
    const next = waiting.shift()
    if (next === undefined) {
      running -= 1
    } else {
      next()
    }
  }

  return async (work) => {
    if (running < max) {
      running += 1
    } else {
      await new Promise<void>((start) => waiting.push(start))
    }
    try {
      return await work()
    } finally {
      end()
    }
  }
}
