// Metadata: which values are accepted, and the error messages of the others.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import { readMetadata } from '../../src/http/metadata.ts'

function faultOf(value: unknown): string {
  try {
    readMetadata(value)
  } catch (error) {
    if (error instanceof DeployerError && error.code === 'malformed-request') return error.message
    throw error
  }
  return 'no error'
}

/** An object of so many members; the values have `length` characters. */
function members(count: number, length = 1): Record<string, string> {
  const names = Array.from({ length: count }, (_, index) => `m${String(index).padStart(3, '0')}`)
  return Object.fromEntries(names.map((name) => [name, 'x'.repeat(length)]))
}

describe('readMetadata', () => {
  test.each([
    ['none', undefined, {}],
    ['an empty object', {}, {}],
    ['strings', { commit: '1f2e3d', run_2: '' }, { commit: '1f2e3d', run_2: '' }],
    ['values of any text', { a: '"\0\ud800{{</script>' }, { a: '"\0\ud800{{</script>' }],
    ['a name of 64 characters', { ['a'.repeat(64)]: 'b' }, { ['a'.repeat(64)]: 'b' }],
    ['a value of 1024 characters', { a: 'b'.repeat(1024) }, { a: 'b'.repeat(1024) }],
    ['32 members', members(32), members(32)],
    ['4096 characters', members(4, 1020), members(4, 1020)],
    ['names that objects have', { constructor: 'a', _: 'b' }, { constructor: 'a', _: 'b' }],
  ])('accepts %s', (_, value, metadata) => {
    expect(readMetadata(value)).toEqual(metadata)
  })

  test.each([
    ['null', null, '"metadata" is not a JSON object: it must be an object of strings'],
    ['an array', ['a'], '"metadata" is not a JSON object: it must be an object of strings'],
    ['a string', 'a', '"metadata" is not a JSON object: it must be an object of strings'],
    [
      'a number as value',
      { build: 42 },
      'the metadata "build" is not a string: each value must be',
    ],
    ['null as value', { a: 'b', build: null }, 'the metadata "build" is not a string'],
    ['an object as value', { build: { a: 'b' } }, 'the metadata "build" is not a string'],
    ['an empty name', { '': 'a' }, 'the metadata name "" is invalid: it must be 1 to 64'],
    ['a dash', { 'git-ref': 'a' }, 'the metadata name "git-ref" is invalid'],
    ['a digit first', { '1st': 'a' }, 'the metadata name "1st" is invalid'],
    ['a letter beyond ASCII', { é: 'a' }, 'the metadata name "é" is invalid'],
    ['a line break', { 'a\n': 'a' }, 'the metadata name "a\\n" is invalid'],
    ['a long name', { ['a'.repeat(65)]: 'b' }, `the metadata name "${'a'.repeat(65)}" is invalid`],
    [
      'a longer name',
      { ['a'.repeat(999)]: 'b' },
      `the metadata name "${'a'.repeat(100)}" is invalid`,
    ],
    ['a long value', { a: 'b'.repeat(1025) }, 'the metadata "a" has 1025 characters: at most 1024'],
    ['33 members', members(33), '"metadata" has 33 members: at most 32 are allowed'],
    [
      '4097 characters',
      { ...members(4, 1020), m000: 'x'.repeat(1021) },
      'the names and values of "metadata" have 4097 characters: at most 4096 are allowed',
    ],
  ])('rejects %s with the reason', (_, value, fault) => {
    expect(faultOf(value)).toContain(`Cannot read the request body: ${fault}`)
  })

  test('rejects the name __proto__, and returns only own members', () => {
    expect(faultOf(JSON.parse('{"__proto__": "a"}'))).toContain('"__proto__" is invalid')
    expect(faultOf(JSON.parse('{"__proto__": {"commit": "a"}}'))).toContain(
      '"__proto__" is invalid',
    )
    const metadata = readMetadata({})
    expect(metadata.toString).toBeUndefined()
    expect(readMetadata(undefined).constructor).toBeUndefined()
    expect(Object.getPrototypeOf(readMetadata({ constructor: 'a' }))).toBeNull()
  })

  test('returns any JSON object of strings, or rejects it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        if (faultOf(value) === 'no error') expect(readMetadata(value)).toEqual(value)
      }),
    )
    const names = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/)
    const texts = fc.string({ unit: 'binary', maxLength: 50 })
    fc.assert(
      fc.property(fc.dictionary(names, texts, { maxKeys: 32 }), (value) => {
        fc.pre(!Object.hasOwn(value, '__proto__'))
        expect(readMetadata(JSON.parse(JSON.stringify(value)))).toEqual(value)
      }),
    )
  })
})
