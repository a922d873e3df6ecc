// The pause before a retry.

const FIRST_MS = 500
const LONGEST_MS = 30_000

/**
 * Computes an exponential backoff with jitter, so that callers that failed together do not retry
 * together.
 *
 * @param failures How many tries have failed in a row, from 1.
 * @param random A number from 0 to 1. Default: a random one.
 * @returns Milliseconds: between the half and the whole of 0.5 s, 1 s, 2 s and so on, up to 30 s.
 */
export function backoffMs(failures: number, random: number = Math.random()): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1))
  return longest * (0.5 + random / 2)
}
