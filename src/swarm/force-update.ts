// `ForceUpdate`, the counter of a service that replaces its tasks: 64 bits wide, and so carried as
// decimal digits. A JavaScript number is exact up to 2^53 only, and Ansible writes 17 digits.

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
 * The counter that replaces the tasks once more.
 *
 * @param value The counter as it is.
 * @returns One more. After 2^64 - 1 comes `0`, as in Docker's command line; the engine replaces the
 *   tasks for any other value.
 */
export function nextForceUpdate(value: ForceUpdate): ForceUpdate {
  return String((BigInt(value) + 1n) % LIMIT)
}

/**
 * The counter as a spec, or JSON text, holds it.
 *
 * @param value The counter.
 * @returns A number while that is exact, up to 2^53 - 1; a bigint beyond.
 */
export function forceUpdateValue(value: ForceUpdate): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(value)
}

/**
 * Reads the counter as {@link forceUpdateValue} gave it, with a bigint as a string of its digits.
 *
 * @param value What some JSON text holds.
 * @returns The counter; undefined when it is none, or in the other one of the two forms.
 */
export function parseForceUpdate(value: unknown): ForceUpdate | undefined {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? String(value) : undefined
  }
  const isLarge =
    typeof value === 'string' && DIGITS.test(value) && !Number.isSafeInteger(Number(value))
  return isLarge && BigInt(value) < LIMIT ? value : undefined
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
