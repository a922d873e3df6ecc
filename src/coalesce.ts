// Many callers who share what one of them would do alone.

/**
 * Lets many callers share what one of them would do alone.
 *
 * @param act What is to be done; it is never done twice at a time.
 * @returns A function whose promise tells of an act that began after the call.
 */
export function coalesce(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  async function runAfter(earlier: Promise<void> | undefined): Promise<void> {
    await earlier?.catch(() => {})
    running = next
    next = undefined
    await act()
  }

  return () => {
    next ??= runAfter(running)
    return next
  }
}
