// Reads test vectors: recorded output of Docker's reference library and of Go's template engine.

import { readFileSync } from 'node:fs'

/**
 * Reads a file of test vectors.
 *
 * @param name File name in `test/vectors`.
 * @returns One object per line.
 */
export function readVectors<T>(name: string): readonly T[] {
  const text = readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}
