// Waits for a promise, with a time limit and abort signals.

import { onAbort } from './abort.ts'
import { unref } from './unref.ts'

/** What ends a wait. */
export interface WaitLimits {
  /** The maximum time, in milliseconds. Default: no limit. */
  readonly timeoutMs?: number
  readonly signals: readonly AbortSignal[]
  /** Whether the timer lets the process end. Default: false. */
  readonly isBackground?: boolean
}

/**
 * Waits until a promise is settled, the time is up, or a signal aborts.
 *
 * @param work The promise; whether it is fulfilled or rejected does not matter.
 * @param limits What else ends the wait.
 */
export function waitFor(
  work: Promise<unknown>,
  { timeoutMs, signals, isBackground = false }: WaitLimits,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = timeoutMs === undefined ? undefined : setTimeout(end, timeoutMs)
    if (isBackground) {
      unref(timer)
    }
    const cancels = [onSettled(work, end), ...signals.map((signal) => onAbort(signal, end))]
    function end(): void {
      clearTimeout(timer)
      for (const cancel of cancels) {
        cancel()
      }
      resolve()
    }
    if (signals.some(({ aborted }) => aborted)) {
      end()
    }
  })
}

/**
 * Calls a function when a promise is settled. A promise keeps its listeners until then, with everything
 * that they refer to; the returned function releases this one.
 */
function onSettled(work: Promise<unknown>, act: () => void): () => void {
  let current: (() => void) | undefined = act
  const call = (): void => current?.()
  work.then(call, call)
  return () => {
    current = undefined
  }
}
