import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDuration } from '../src/duration.ts'

test.each([
  ['0', 0],
  ['0h', 0],
  ['50', 50_000],
  ['50s', 50_000],
  ['007', 7000],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['999999999', 999_999_999_000],
])('%s is %d ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds)
})

test.each([
  '',
  's',
  '-1',
  '+1',
  '1.5m',
  '1e3',
  '0x10',
  ' 1',
  '1 ',
  '1\n',
  '1 s',
  '1ms',
  '1d',
  '1H',
  '1h30m',
  '1,5',
  '٣',
  'Infinity',
  '1000000000',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test('every whole number of every unit is read as what it was written from', () => {
  const units = fc.constantFrom(['', 1000], ['s', 1000], ['m', 60_000], ['h', 3_600_000])
  fc.assert(
    fc.property(fc.nat(999_999_999), units, (count, [unit, milliseconds]) => {
      expect(parseDuration(`${count}${unit}`)).toBe(count * Number(milliseconds))
    }),
  )
})

test('any other text is undefined, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/^[0-9]{1,9}[smh]?$/.test(text))
      expect(parseDuration(text)).toBeUndefined()
    }),
  )
})
