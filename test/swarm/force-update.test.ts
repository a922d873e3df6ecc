import { describe, expect, test } from 'vitest'
import {
  forceUpdateOf,
  forceUpdateValue,
  isHigher,
  nextForceUpdate,
  parseForceUpdate,
} from '../../src/swarm/force-update.ts'

describe('ForceUpdate', () => {
  test.each([
    [undefined, '0'],
    [0, '0'],
    [5, '5'],
    [17326312345678901n, '17326312345678901'],
  ])('of a spec that has %s is %s', (ForceUpdate, text) => {
    expect(forceUpdateOf(ForceUpdate === undefined ? {} : { ForceUpdate })).toBe(text)
  })

  test.each([
    ['0', '1'],
    ['9007199254740991', '9007199254740992'],
    ['9007199254740992', '9007199254740993'],
    ['17326312345678901', '17326312345678902'],
    ['18446744073709551614', '18446744073709551615'],
    ['18446744073709551615', '0'],
  ])('after %s is %s', (value, next) => {
    expect(nextForceUpdate(value)).toBe(next)
  })

  test.each([
    ['0', 0],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['17326312345678901', 17326312345678901n],
  ])('%s stands in a spec as %s', (text, value) => {
    expect(forceUpdateValue(text)).toBe(value)
    expect(parseForceUpdate(typeof value === 'bigint' ? String(value) : value)).toBe(text)
  })

  test('is compared as a number of any length', () => {
    expect(isHigher('17326312345678902', '17326312345678901')).toBe(true)
    expect(isHigher('10', '9')).toBe(true)
    expect(isHigher('9', '9')).toBe(false)
    expect(isHigher('9', '10')).toBe(false)
  })
})
