// A time in which somebody is to be left alone, as they asked.

// Nobody asks for longer in earnest; and timers of more than 24.8 days end at once.
const LONGEST_MS = 24 * 60 * 60 * 1000

/** A pause that may be made longer, never shorter. */
export interface Pause {
  isOn(): boolean
  /**
   * Begins it, or has it last longer.
   *
   * @param forMs For how long from now, in milliseconds; a day at most.
   */
  extend(forMs: number): void
  /** Ends it, and tells nobody. */
  cancel(): void
}

/**
 * Makes a pause that has not begun.
 *
 * @param over Is called when it is over.
 * @returns The pause.
 */
export function createPause(over: () => void): Pause {
  let endsAtMs = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function end(): void {
    timer = undefined
    over()
  }

  return {
    isOn: () => timer !== undefined,

    extend(forMs) {
      const leftMs = timer === undefined ? 0 : endsAtMs - performance.now()
      if (forMs > leftMs) {
        clearTimeout(timer)
        const lastsMs = Math.min(forMs, LONGEST_MS)
        endsAtMs = performance.now() + lastsMs
        timer = setTimeout(end, lastsMs)
      }
    },

    cancel() {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
