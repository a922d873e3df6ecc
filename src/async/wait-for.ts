// Waiting for something, but not for ever.

import { onAbort } from './abort.ts'

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
    const callsOff = [onSettled(work, end), ...signals.map((signal) => onAbort(signal, end))]
    function end(): void {
      clearTimeout(timer)
      for (const callOff of callsOff) {
        callOff()
      }
      resolve()
    }
    if (signals.some(({ aborted }) => aborted)) {
      end()
    }
  })
}

/**
 * A promise keeps its listeners until it is settled: all those too whose time was up long ago, and the
 * requests that they came from. This one can be called off.
 */
function onSettled(work: Promise<unknown>, act: () => void): () => void {
  let current: (() => void) | undefined = act
  const tell = (): void => current?.()
  work.then(tell, tell)
  return () => {
    current = undefined
  }
}
