import fc from 'fast-check'
import { expect, test } from 'vitest'
import { goDuration, parseDuration } from '../../src/text/duration.ts'

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

test('each whole number of each unit is parsed to its value', () => {
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

test.each([
  [0, '0s'],
  [1, '1ms'],
  [850, '850ms'],
  [999, '999ms'],
  [1000, '1s'],
  [1001, '1.001s'],
  [1010, '1.01s'],
  [12_400, '12.4s'],
  [59_999, '59.999s'],
  [60_000, '1m0s'],
  [60_001, '1m0.001s'],
  [72_400, '1m12.4s'],
  [3_599_999, '59m59.999s'],
  [3_600_000, '1h0m0s'],
  [3_605_000, '1h0m5s'],
  [90_061_001, '25h1m1.001s'],
  [-850, '-850ms'],
  [-72_400, '-1m12.4s'],
])('%d ms are printed as %s, as in Go', (milliseconds, text) => {
  expect(goDuration(milliseconds)).toBe(text)
})

test('the parts of a printed duration add up to its value', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000_000), (milliseconds) => {
      const text = goDuration(milliseconds)
      const form = /^(?:(?:(\d+)h)?([1-5]?\d)m)?([1-5]?\d(?:\.\d{0,2}[1-9])?)s$/
      const [, hours = 0, minutes = 0, seconds = 0] = form.exec(text) ?? []
      const sum = (Number(hours) * 60 + Number(minutes)) * 60_000 + Number(seconds) * 1000
      expect(Math.round(sum)).toBe(milliseconds > 0 && milliseconds < 1000 ? 0 : milliseconds)
      expect(text.endsWith('ms')).toBe(milliseconds > 0 && milliseconds < 1000)
    }),
  )
})
