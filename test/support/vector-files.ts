// The vector files: what Docker's reference library and Go's template engine really output.

import { readFileSync } from 'node:fs'

/**
 * Reads a file of vectors.
 *
 * @param name The file's name in `test/vectors`.
 * @returns One object per line.
 */
export function readVectors<T>(name: string): readonly T[] {
  const text = readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}
