// When a message has waited so long that it is given up. A wall clock that jumps makes no message
// too old: within a process a monotonic clock counts, and a message that an earlier process left is tried
// for an hour, whatever its age seems to be.

/** A moment by both clocks. */
export interface Moment {
  /** Milliseconds by a clock that nobody sets, such as `performance.now()`. */
  readonly monotonicMs: number
  /** Milliseconds since 1970 by the wall clock, which may be wrong and may jump. */
  readonly wallMs: number
}

/** How long a message has waited. */
export interface MessageAge {
  /** When this process began to try it. */
  readonly added: Moment
  /** When an earlier process queued it, by the wall clock; undefined: this process did. */
  readonly queuedAtMs: number | undefined
  readonly now: Moment
}

const MIN_TRIED_MS = 60 * 60 * 1000

/**
 * Whether a message is given up for its age. One that this process queued is when it has waited for
 * `maxAgeMs`. One that an earlier process left also is when it is older than `maxAgeMs` by the wall
 * clock, both as that was at the start and as it is now, and this process has tried it for an hour.
 *
 * @param age How long it has waited.
 * @param maxAgeMs The longest time, in milliseconds.
 * @returns True when it is too old.
 */
export function isTooOld({ added, queuedAtMs, now }: MessageAge, maxAgeMs: number): boolean {
  const triedMs = now.monotonicMs - added.monotonicMs
  if (triedMs > maxAgeMs) {
    return true
  }
  if (queuedAtMs === undefined || triedMs <= MIN_TRIED_MS) {
    return false
  }
  // The smaller one: a jump since the start, or one that was corrected since, does not count.
  const latestMs = Math.min(added.wallMs + triedMs, now.wallMs)
  return latestMs - queuedAtMs > maxAgeMs
}

/**
 * Reads both clocks.
 *
 * @returns The present moment.
 */
export function currentMoment(): Moment {
  return { monotonicMs: performance.now(), wallMs: Date.now() }
}
