// Many who wait for one signal to abort. (Node takes more than ten listeners for a leak, and says so
// on stderr.)

/** Who waits for a signal, and the one listener that tells them. */
interface Waiters {
  readonly acts: Set<() => void>
  tell(): void
}

const waitersOf = new WeakMap<AbortSignal, Waiters>()

/**
 * Acts when a signal aborts; never when it has aborted already.
 *
 * @param signal The signal; it has one listener, however many wait for it.
 * @param act What is to be done; the same function is done once.
 * @returns A function that calls it off.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const waiters = waitersOf.get(signal) ?? listen(signal)
  waiters.acts.add(act)
  return () => {
    waiters.acts.delete(act)
    if (waiters.acts.size === 0 && waitersOf.get(signal) === waiters) {
      waitersOf.delete(signal)
      signal.removeEventListener('abort', waiters.tell)
    }
  }
}

function listen(signal: AbortSignal): Waiters {
  const acts = new Set<() => void>()
  const waiters = {
    acts,
    tell(): void {
      for (const act of [...acts]) {
        act()
      }
    },
  }
  waitersOf.set(signal, waiters)
  signal.addEventListener('abort', waiters.tell)
  return waiters
}
