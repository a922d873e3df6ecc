// An event that one waiter waits for. It stays set until a wait has ended because of it.

import { unref } from './unref.ts'

/** An event that resets itself. */
export interface AutoResetEvent {
  /** Ends the current wait, or else the next one at its start. */
  set(): void
  /**
   * Waits until the event is set, and resets it. One caller waits at a time.
   *
   * @param timeoutMs The longest wait, in milliseconds. Its timer does not keep a process running.
   */
  wait(timeoutMs: number): Promise<void>
}

/**
 * Creates an event.
 *
 * @returns The event, not set.
 */
export function createAutoResetEvent(): AutoResetEvent {
  let isSet = false
  let wake = (): void => {}
  return {
    set() {
      isSet = true
      wake()
    },

    async wait(timeoutMs) {
      if (!isSet) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs)
          unref(timer)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = () => {}
      }
      isSet = false
    },
  }
}
