// The callers that wait for a verdict. Each one uses a connection and memory, so their number is limited.

import { DeployerError } from '../errors.ts'

/** The place of one waiting caller. */
export interface WaitingPlace {
  /** Releases the place; further calls have no effect. */
  release(): void
}

/** The places of all waiting callers. */
export interface WaitingCallers {
  /**
   * Reserves a place, before anything is deployed.
   *
   * @returns The place.
   * @throws DeployerError `overloaded` when all places are in use.
   */
  enter(): WaitingPlace
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
  let waiting = 0
  return {
    enter() {
      if (waiting >= max) {
        throw new DeployerError(
          'overloaded',
          `Cannot wait for the verdict: ${max} callers wait already, and nothing was deployed; try again later, or without "wait"`,
          { retryAfterSeconds: RETRY_AFTER_SECONDS },
        )
      }
      waiting += 1
      let isTaken = true
      return {
        release() {
          waiting -= isTaken ? 1 : 0
          isTaken = false
        },
      }
    },
  }
}
