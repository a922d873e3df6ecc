// Calls that many callers share.

/**
 * Lets concurrent callers share one call of a function.
 *
 * @param act The function; it never runs twice at the same time.
 * @returns A function whose promise settles as a run of `act` does that started after the call.
 */
export function singleFlight<T>(act: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined

  async function runAfter(earlier: Promise<T> | undefined): Promise<T> {
    await earlier?.catch(() => {})
    running = next
    next = undefined
    return act()
  }

  return () => {
    next ??= runAfter(running)
    return next
  }
}
