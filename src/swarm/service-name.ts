// The grammar of service names.

const GRAMMAR = /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/
const MAX_LENGTH = 63

/**
 * Whether a text is a valid name or ID of a service. An invalid one must not be sent to the engine, since
 * names become part of URL paths.
 *
 * @param name The name, percent-decoded.
 * @returns True for letters, digits, `-` and `_`, starting and ending with a letter or digit, at
 *   most 63 characters (swarmkit's `^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`, written so that it cannot
 *   backtrack).
 */
export function isServiceName(name: string): boolean {
  return name.length <= MAX_LENGTH && GRAMMAR.test(name)
}

/**
 * Whether a text is the full ID of a service.
 *
 * @param text The text.
 * @returns True for 25 lower-case letters and digits.
 */
export function isServiceId(text: string): boolean {
  return /^[a-z0-9]{25}$/.test(text)
}
