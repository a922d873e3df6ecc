// The hash, compared with that of Node.

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { sha256 } from '../../src/text/sha256.ts'

test('is SHA-256 of the UTF-8 of any text, of each length around the size of a block', () => {
  const texts = Array.from({ length: 200 }, (_, length) => 'aé€😀z'.repeat(60).slice(0, length))
  for (const text of texts) {
    expect(sha256(text)).toBe(createHash('sha256').update(text).digest('hex'))
  }
  expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
