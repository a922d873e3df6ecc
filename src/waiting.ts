// Waiting for something, but not for ever.

/**
 * Waits until a promise is settled, the time is up, or a signal aborts.
 *
 * @param work The promise; how it is settled does not matter.
 * @param options The longest to wait, in milliseconds, and what else ends the wait.
 */
export function waitFor(
  work: Promise<unknown>,
  { timeoutMs, signals }: { readonly timeoutMs?: number; readonly signals: readonly AbortSignal[] },
): Promise<void> {
  return new Promise((resolve) => {
    const timer = timeoutMs === undefined ? undefined : setTimeout(end, timeoutMs)
    function end(): void {
      clearTimeout(timer)
      for (const signal of signals) {
        signal.removeEventListener('abort', end)
      }
      resolve()
    }
    for (const signal of signals) {
      signal.addEventListener('abort', end)
    }
    if (signals.some(({ aborted }) => aborted)) {
      end()
    } else {
      work.then(end, end)
    }
  })
}
