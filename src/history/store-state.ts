// Whether a store of histories can be used, and what is logged about it.

import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { errorMessage } from '../text/error-message.ts'
import { FORMAT } from './history-labels.ts'
import { FORMAT_LABEL, type StoredHistory } from './history-store.ts'

/** What is known of a store. */
export interface StoreState {
  /** Whether the store has answered, and not been closed since. */
  isProven(): boolean
  /** Whether the store may not be used at all. */
  isClosed(): boolean
  /** When a closed store is tried again, in milliseconds; undefined for one that is open. */
  retryAt(): number | undefined
  /** Whether a call makes sense now: the store is open, or it is time to try it again. */
  isWorthTrying(): boolean
  /**
   * A call has succeeded.
   *
   * @param subject What it was about: a service, or all.
   */
  worked(subject: string): void
  /**
   * A call has failed. The first failure is logged, and then the first success.
   *
   * @param subject What it was about: a service, or all.
   * @param error What it rejected with.
   */
  failed(subject: string, error: unknown): void
}

const RETRY_MS = 60_000
const MAX_FAILING = 1000

/**
 * Creates the state of a store.
 *
 * @param logger Receives a line when the state changes.
 * @param now The time in milliseconds, of a clock that does not go back.
 * @returns The state: open, and not proven.
 */
export function createStoreState(logger: Logger, now: () => number): StoreState {
  const failing = new Set<string>()
  let closedUntil: number | undefined
  let hasWorked = false

  return {
    isProven: () => hasWorked && closedUntil === undefined,
    isClosed: () => closedUntil !== undefined,
    retryAt: () => closedUntil,
    isWorthTrying: () => closedUntil === undefined || now() >= closedUntil,

    worked(subject) {
      const wasFailing = failing.delete(subject) && failing.size === 0
      if (closedUntil !== undefined || wasFailing) {
        logger.info({}, 'history works again')
      }
      closedUntil = undefined
      hasWorked = true
    },

    failed(subject, error) {
      const reason = errorMessage(error)
      if (isClosedError(error)) {
        if (closedUntil === undefined) {
          logger.warn({ reason }, 'no history is kept')
        }
        closedUntil = now() + RETRY_MS
        return
      }
      if (failing.size === 0) {
        logger.warn({ reason }, 'history failed')
      }
      if (failing.size < MAX_FAILING) {
        failing.add(subject)
      }
    },
  }
}

/**
 * Whether a store may not be used at all.
 *
 * @param error What a call rejected with.
 * @returns True for a {@link DeployerError} `history-unavailable`.
 */
export function isClosedError(error: unknown): boolean {
  return error instanceof DeployerError && error.code === 'history-unavailable'
}

/**
 * Checks that this version can write a history.
 *
 * @param stored The history; undefined where there is none.
 * @throws Error for another format.
 */
export function checkFormat(stored: StoredHistory | undefined): void {
  const format = stored?.labels[FORMAT_LABEL]
  if (format !== undefined && format !== FORMAT) {
    throw new Error(
      `the history has the format ${format}, and this version of Deployer has ${FORMAT}`,
    )
  }
}
