import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLineSplitter } from '../../../src/node/docker/lines.ts'

function split(pieces: readonly (string | Buffer)[], maxBytes = 10): string[] {
  const lines: string[] = []
  const take = createLineSplitter(maxBytes, (line) => lines.push(line))
  for (const piece of pieces) {
    take(Buffer.from(piece))
  }
  return lines
}

test.each<[readonly string[], readonly string[]]>([
  [['a\nb\n'], ['a', 'b']],
  [
    ['a', 'b\nc', '\n'],
    ['ab', 'c'],
  ],
  [['\n\na\n\n'], ['a']],
  [['a'], []],
  [['0123456789\n'], ['0123456789']],
  [['0123456789a\nb\n'], ['b']],
  [['01234', '56789', 'a', 'b\nc\n'], ['c']],
  [['01234567890', '1\nc\n'], ['c']],
])('%j holds %j', (pieces, lines) => {
  expect(split(pieces)).toEqual(lines)
})

test('a character may be split', () => {
  const bytes = Buffer.from('è€😀\n')
  expect(split([...bytes].map((byte) => Buffer.from([byte])))).toEqual(['è€😀'])
})

test('it does not matter where the pieces end', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 20 })),
      fc.integer({ min: 1, max: 7 }),
      (parts, size) => {
        const bytes = Buffer.from(parts.join('\n'))
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
          bytes.subarray(n * size, (n + 1) * size),
        )
        expect(split(pieces)).toEqual(split([bytes]))
      },
    ),
  )
})
