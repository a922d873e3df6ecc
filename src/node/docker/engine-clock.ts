// Estimates the engine's clock from the `Date` headers of its responses.

/** The times of one response of the engine. */
export interface ResponseTimes {
  /** Its `Date` header, which has a precision of one second. */
  readonly date: string | undefined
  /** When the request was sent, by the local clock, in milliseconds since 1970. */
  readonly sentMs: number
  /** When the response was received, by the same clock. */
  readonly receivedMs: number
}

/** A clock that each response corrects. */
export interface EngineClock {
  observe(times: ResponseTimes): void
  /** Milliseconds since 1970. */
  now(): number
}

/**
 * Creates the clock. It equals the local clock until a response contradicts it: at some time
 * between request and response, the engine's clock was within the second of the `Date` header. The
 * clock is then moved by the smallest amount that resolves the contradiction, so that equal clocks
 * stay equal.
 *
 * @param localNow The local clock. Default: `Date.now`.
 * @returns The clock.
 */
export function createEngineClock(localNow: () => number = Date.now): EngineClock {
  let offsetMs = 0
  return {
    observe({ date = '', sentMs, receivedMs }) {
      const secondMs = Date.parse(date)
      if (!Number.isNaN(secondMs)) {
        const minOffsetMs = secondMs - receivedMs
        const maxOffsetMs = secondMs + 999 - sentMs
        offsetMs = Math.min(Math.max(offsetMs, minOffsetMs), maxOffsetMs)
      }
    },
    now: () => localNow() + offsetMs,
  }
}
