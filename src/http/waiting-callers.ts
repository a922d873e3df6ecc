// The callers that wait for a verdict. Each one uses a connection and memory, so their number is limited.

import { type Heartbeat, startHeartbeat } from '../async/heartbeat.ts'
import { DeployerError } from '../errors.ts'

/** The place of one waiting caller. */
export interface WaitingPlace {
  /** Releases the place; further calls have no effect. */
  release(): void
}

/** The places of all waiting callers. */
export interface WaitingCallers {
  /**
   * Reserves a place for the current request, before anything is deployed. When all places are in use, those
   * of requests that the runtime has ended are free: workerd ends the request of a client that disconnects,
   * and nothing releases its place.
   *
   * @returns The place.
   * @throws DeployerError `overloaded` when all places are in use.
   */
  enter(): Promise<WaitingPlace>
}

// About 35 KiB each, 70 MiB together.
const MAX_WAITING = 2000
const RETRY_AFTER_SECONDS = 5

/** The place of a caller that does not wait. */
export const NO_PLACE: WaitingPlace = { release() {} }

/**
 * Creates the places.
 *
 * @param max How many callers may wait at the same time. Default: 2,000.
 * @returns The places, all free.
 */
export function createWaitingCallers(max: number = MAX_WAITING): WaitingCallers {
  // Each heartbeat is a timer of the request that has the place.
  const waiting = new Set<Heartbeat>()

  async function removeAbandoned(): Promise<void> {
    await Promise.all(
      [...waiting].map(async (heartbeat) => {
        if (!(await heartbeat.isAlive())) {
          waiting.delete(heartbeat)
        }
      }),
    )
  }

  return {
    async enter() {
      if (waiting.size >= max) {
        await removeAbandoned()
      }
      if (waiting.size >= max) {
        throw new DeployerError(
          'overloaded',
          `Cannot wait for the verdict: ${max} callers wait already, and nothing was deployed; try again later, or without "wait"`,
          { retryAfterSeconds: RETRY_AFTER_SECONDS },
        )
      }
      const heartbeat = startHeartbeat()
      waiting.add(heartbeat)
      return {
        release() {
          heartbeat.stop()
          waiting.delete(heartbeat)
        },
      }
    },
  }
}
