// `ForceUpdate`, the counter whose change replaces the tasks of a service. It has 64 bits, and is therefore
// kept as decimal digits: a JavaScript number is exact up to 2^53 only, and Ansible writes 17 digits.

import type { TaskSpec } from './engine-types.ts'

/** `ForceUpdate` in decimal digits, without leading zeros: `0`, `17326312345678901`. */
export type ForceUpdate = string

const LIMIT = 2n ** 64n
const DIGITS = /^(?:0|[1-9][0-9]{0,19})$/

/**
 * Reads the counter of a spec.
 *
 * @param spec The template of a service's tasks, or a task's own spec.
 * @returns The counter; `0` where the spec has none.
 */
export function forceUpdateOf({ ForceUpdate }: TaskSpec): ForceUpdate {
  return String(ForceUpdate ?? 0)
}

/**
 * Gets the next value of the counter, which replaces the tasks once more.
 *
 * @param value The current value.
 * @returns One more. After 2^64 - 1 comes `0`, as in Docker's command line; the engine replaces the
 *   tasks for any other value.
 */
export function nextForceUpdate(value: ForceUpdate): ForceUpdate {
  return String((BigInt(value) + 1n) % LIMIT)
}

/**
 * Converts the counter for a spec or for JSON.
 *
 * @param value The counter.
 * @returns A number where that is exact, up to 2^53 - 1; a bigint above.
 */
export function forceUpdateValue(value: ForceUpdate): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(value)
}

/**
 * Reads the counter from JSON, in the form of {@link forceUpdateValue} with a bigint as a string of its
 * digits.
 *
 * @param value A value from JSON.
 * @returns The counter; undefined for any other value, and for a number as a string or the reverse.
 */
export function parseForceUpdate(value: unknown): ForceUpdate | undefined {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? String(value) : undefined
  }
  return isForceUpdate(value) && !Number.isSafeInteger(Number(value)) ? value : undefined
}

/**
 * Whether a value is a counter in decimal digits.
 *
 * @param value Any value.
 * @returns True for a string of up to 64 bits, without leading zeros.
 */
export function isForceUpdate(value: unknown): value is ForceUpdate {
  return typeof value === 'string' && DIGITS.test(value) && BigInt(value) < LIMIT
}

/**
 * Whether one counter is higher than another.
 *
 * @param one A counter.
 * @param other Another one.
 * @returns True when it is.
 */
export function isHigher(one: ForceUpdate, other: ForceUpdate): boolean {
  return BigInt(one) > BigInt(other)
}
