// JSON that goes through Deployer unharmed: numbers that JavaScript cannot hold keep their digits.

import { LosslessNumber, parse, stringify } from 'lossless-json'

/**
 * Reads JSON.
 *
 * @param text JSON text.
 * @returns The value. A number is a `number` where that prints as it was written, and else an
 *   opaque object that {@link stringifyJson} prints as it was written.
 * @throws SyntaxError when the text is not JSON.
 */
export function parseJson(text: string): unknown {
  // Most texts survive JSON.parse as they are, which is several times faster; printing tells.
  const value: unknown = JSON.parse(text)
  return JSON.stringify(value) === text.trimEnd() ? value : parse(text, null, exactNumber)
}

/**
 * Writes JSON.
 *
 * @param value What {@link parseJson} returned, or parts of it in other arrangement.
 * @returns JSON text with every number as it was read.
 */
export function stringifyJson(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null'
  // Only an exact number prints like this, and only then is the slower way needed.
  return text.includes('"isLosslessNumber":true') ? (stringify(value) ?? 'null') : text
}

function exactNumber(digits: string): number | LosslessNumber {
  const value = Number(digits)
  return String(value) === digits ? value : new LosslessNumber(digits)
}
