// The current time, also where an embedder's clock fails.

import type { Swarm } from './swarm.ts'

/**
 * Reads the swarm's clock for a time that is only reported, so that a failure of the clock is no reason to
 * fail.
 *
 * @param swarm The swarm, whose `now` is an embedder's code.
 * @returns The time in milliseconds since 1970; that of this machine when the clock throws.
 */
export function currentTimeMs(swarm: Pick<Swarm, 'now'>): number {
  try {
    return swarm.now()
  } catch {
    return Date.now()
  }
}
