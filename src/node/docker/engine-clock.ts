// The engine's clock, as far as the `Date` headers of its answers tell it.

/** One answer of the engine. */
export interface DatedAnswer {
  /** Its `Date` header, which names a whole second. */
  readonly date: string | undefined
  /** When the request was sent, by our own clock, in milliseconds since 1970. */
  readonly sentMs: number
  /** When the answer came, by the same clock. */
  readonly receivedMs: number
}

/** A clock that is set right by each answer. */
export interface EngineClock {
  observe(answer: DatedAnswer): void
  /** Milliseconds since 1970. */
  now(): number
}

/**
 * Makes the clock. It goes as ours does until an answer contradicts it: at some moment between
 * request and answer the engine's clock was within the second that the answer names. It is then
 * moved no further than that takes, so that equal clocks stay equal.
 *
 * @param ourNow Our own clock. Default: `Date.now`.
 * @returns The clock.
 */
export function createEngineClock(ourNow: () => number = Date.now): EngineClock {
  let offsetMs = 0
  return {
    observe({ date = '', sentMs, receivedMs }) {
      const secondMs = Date.parse(date)
      if (!Number.isNaN(secondMs)) {
        const least = secondMs - receivedMs
        const most = secondMs + 999 - sentMs
        offsetMs = Math.min(Math.max(offsetMs, least), most)
      }
    },
    now: () => ourNow() + offsetMs,
  }
}
