import { expect, test } from 'vitest'
import { tokenFault, tokenWarning } from '../../src/http/token.ts'

test.each([
  ['x'],
  ['SOME_TOKEN'],
  ['a b'],
  ['schlüssel à'],
  ['日本'],
  ['Bearer x'],
  ['bearers'],
  ['🔑'],
  ['x'.repeat(15_360)],
])('%j can be used', (token) => {
  expect(tokenFault(token)).toBeUndefined()
})

test.each([
  ['a\nb', 'no header can hold'],
  ['a\tb', 'no header can hold'],
  ['a\u007f', 'no header can hold'],
  [' a', 'no header can hold'],
  ['a\ud800', 'it is not UTF-8 text'],
  ['a\ufffd', 'it is not UTF-8 text'],
  ['x'.repeat(15_361), 'it has more than 15360 bytes'],
  ['é'.repeat(7681), 'it has more than 15360 bytes'],
  ['Bearer', 'is "Bearer", which a caller with an empty token also sends'],
  ['bearer', 'is "bearer", which a caller with an empty token also sends'],
])('%j cannot be used', (token, fault) => {
  expect(tokenFault(token)).toContain(fault)
})

test.each([
  ['SOME_TOKEN', 'is the example of the README'],
  ['x', 'is shorter than 16 characters'],
  ['x'.repeat(15), 'is shorter than 16 characters'],
  ['🔑'.repeat(15), 'is shorter than 16 characters'],
])('%j causes a warning that does not contain it', (token, warning) => {
  expect(tokenWarning(token)).toContain(warning)
  expect(tokenWarning(token)).not.toContain(JSON.stringify(token))
})

test('a token of 16 characters causes no warning', () => {
  expect(tokenWarning('x'.repeat(16))).toBeUndefined()
})
