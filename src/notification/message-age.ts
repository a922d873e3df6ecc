// Decides whether a message is too old to be retried. A jump of the wall clock does not make a message
// too old: within a process the monotonic clock counts, and a message of an earlier process is retried
// for at least an hour.

/** A point in time by both clocks. */
export interface Moment {
  /** Milliseconds by a monotonic clock, such as `performance.now()`. */
  readonly monotonicMs: number
  /** Milliseconds since 1970 by the wall clock, which may be wrong or jump. */
  readonly wallMs: number
}

/** How long a message has waited. */
export interface MessageAge {
  /** When it was added to the queue of this process. */
  readonly added: Moment
  /** When an earlier process queued it, by the wall clock; undefined: this process queued it. */
  readonly queuedAtMs: number | undefined
  readonly now: Moment
}

const MIN_RETRY_MS = 60 * 60 * 1000

/**
 * Checks whether a message is too old to be retried. A message of this process is after it has waited
 * for `maxAgeMs`. A message of an earlier process is also after an hour in this one, if it is older than
 * `maxAgeMs` both by the wall clock at the start and by the current wall clock.
 *
 * @param age How long it has waited.
 * @param maxAgeMs The maximum age, in milliseconds.
 * @returns True when it is too old.
 */
export function isTooOld({ added, queuedAtMs, now }: MessageAge, maxAgeMs: number): boolean {
  const waitedMs = now.monotonicMs - added.monotonicMs
  if (waitedMs > maxAgeMs) {
    return true
  }
  if (queuedAtMs === undefined || waitedMs <= MIN_RETRY_MS) {
    return false
  }
  // The smaller one, so that neither a jump since the start nor a corrected one counts.
  const latestMs = Math.min(added.wallMs + waitedMs, now.wallMs)
  return latestMs - queuedAtMs > maxAgeMs
}

/**
 * Reads both clocks.
 *
 * @returns The current time.
 */
export function currentMoment(): Moment {
  return { monotonicMs: performance.now(), wallMs: Date.now() }
}
