// Many listeners for the abort of one signal. (Node takes more than ten for a leak, and warns on stderr.)

/** The functions that wait for a signal, and the one listener that calls them. */
interface Waiters {
  readonly acts: Set<() => void>
  call(): void
}

const waitersOf = new WeakMap<AbortSignal, Waiters>()

/**
 * Calls a function when a signal aborts; never when it has aborted before.
 *
 * @param signal The signal. It has one listener for all functions, and none after it has aborted.
 * @param act The function; the same function is called once.
 * @returns A function that cancels this.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted && !waitersOf.has(signal)) {
    return () => {}
  }
  const waiters = waitersOf.get(signal) ?? listen(signal)
  waiters.acts.add(act)
  return () => {
    waiters.acts.delete(act)
    if (waiters.acts.size === 0) {
      stopListening(signal, waiters)
    }
  }
}

function listen(signal: AbortSignal): Waiters {
  const acts = new Set<() => void>()
  const waiters = {
    acts,
    call(): void {
      for (const act of [...acts]) {
        act()
      }
      acts.clear()
      stopListening(signal, waiters)
    },
  }
  waitersOf.set(signal, waiters)
  signal.addEventListener('abort', waiters.call)
  return waiters
}

function stopListening(signal: AbortSignal, waiters: Waiters): void {
  if (waitersOf.get(signal) === waiters) {
    waitersOf.delete(signal)
    signal.removeEventListener('abort', waiters.call)
  }
}
