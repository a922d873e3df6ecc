// The callers who wait for a verdict: each keeps a connection and memory, so there is a limit.

import { DeployerError } from '../errors.ts'

/** The place of one caller. */
export interface WaitingPlace {
  /** Gives the place back; further calls do nothing. */
  release(): void
}

/** The places of all callers who wait. */
export interface WaitingCallers {
  /**
   * Takes a place, before anything is done for the request.
   *
   * @returns The place.
   * @throws DeployerError `overloaded` when there is none left.
   */
  enter(): WaitingPlace
}

// With about 35 KiB each, 70 MiB.
const MAX_WAITING = 2000
const RETRY_AFTER_SECONDS = 5

/** The place of a caller who does not wait. */
export const NO_PLACE: WaitingPlace = { release() {} }

/**
 * Creates the places.
 *
 * @param max How many callers may wait at a time. Default: 2,000.
 * @returns The places, all free.
 */
export function createWaitingCallers(max: number = MAX_WAITING): WaitingCallers {
  let waiting = 0
  return {
    enter() {
      if (waiting >= max) {
        throw new DeployerError(
          'overloaded',
          `Cannot let one more caller wait: ${max} wait already, and nothing was deployed; try again later, or without wait`,
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
