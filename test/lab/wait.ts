// Waiting for a condition, with a deadline whose error names the condition.

import { setTimeout as sleep } from 'node:timers/promises'

/** How long to wait, how often to check, and what the error describes. */
export interface WaitOptions {
  /** Milliseconds until the wait fails. Default: 120 000, as a busy machine may need. */
  readonly timeoutMs?: number
  /** Milliseconds between two checks. Default: 25. */
  readonly intervalMs?: number
  /** Describes the state for the error. */
  readonly describe?: () => string | Promise<string>
}

/**
 * Calls `check` until it gives a value.
 *
 * @param what The condition, as in "Timed out after 5 s while waiting for the engine to answer".
 * @param check Gives `undefined` or `false` while the condition is not met.
 * @param options The deadline, the interval and the description.
 * @returns The value that `check` gave.
 * @throws Error when the deadline passes.
 */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions = {},
): Promise<T> {
  const { timeoutMs = 120_000, intervalMs = 25, describe } = options
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await check()
    if (value !== undefined && value !== false) return value
    if (Date.now() > deadline) {
      const state = describe === undefined ? '' : `:\n${await describe()}`
      throw new Error(`Timed out after ${timeoutMs / 1000} s while waiting for ${what}${state}`)
    }
    await sleep(intervalMs)
  }
}
