// A bell: rung by whoever has news, heard by the one who waits for them, now or later.

/** The bell. */
export interface AutoResetEvent {
  set(): void
  /**
   * Waits until it rings; not at all when it has rung since the last wait.
   *
   * @param timeoutMs The longest to wait, in milliseconds.
   */
  wait(timeoutMs: number): Promise<void>
}

/**
 * Makes a bell.
 *
 * @returns The bell, silent.
 */
export function createAutoResetEvent(): AutoResetEvent {
  let isRung = false
  let wake = (): void => {}
  return {
    set() {
      isRung = true
      wake()
    },

    async wait(timeoutMs) {
      if (!isRung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = () => {}
      }
      isRung = false
    },
  }
}
