// Service names as Swarm allows them.

const GRAMMAR = /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/
const MAX_LENGTH = 63

/**
 * Whether Swarm could have a service of this name or ID. What is not must never get near the
 * engine, since names end up in its paths.
 *
 * @param name The name, percent-decoded.
 * @returns True for letters, digits, `-` and `_`, starting and ending with a letter or digit, at
 *   most 63 characters (swarmkit's `^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`, written so that it cannot
 *   backtrack).
 */
export function isServiceName(name: string): boolean {
  return name.length <= MAX_LENGTH && GRAMMAR.test(name)
}
