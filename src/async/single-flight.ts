// Many callers who share what one of them would do alone.

/**
 * Lets many callers share what one of them would do alone.
 *
 * @param act What is to be done; it is never done twice at a time.
 * @returns A function whose promise tells of an act that began after the call.
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
