// Waiting for a condition, with a deadline that says what it waited for.

import { setTimeout as sleep } from 'node:timers/promises'

/** How long to wait, how often to look, and what to tell when it was in vain. */
export interface WaitOptions {
  /** Milliseconds until the wait fails; 30 000 unless told. */
  readonly timeoutMs?: number
  /** Milliseconds between two looks; 25 unless told. */
  readonly intervalMs?: number
  /** Tells the state of things, for the error. */
  readonly describe?: () => string | Promise<string>
}

/**
 * Looks again and again until `check` gives a value.
 *
 * @param what What is waited for, as in "Waited 5 s for the engine to answer".
 * @param check Gives `undefined` or `false` as long as the wait goes on.
 * @param options The deadline and its message.
 * @returns What `check` gave.
 */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions = {},
): Promise<T> {
  const { timeoutMs = 30_000, intervalMs = 25, describe } = options
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await check()
    if (value !== undefined && value !== false) return value
    if (Date.now() > deadline) {
      const state = describe === undefined ? '' : `:\n${await describe()}`
      throw new Error(`Waited ${timeoutMs / 1000} s in vain for ${what}${state}`)
    }
    await sleep(intervalMs)
  }
}
