import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJson, stringifyJson } from '../../src/node/json.ts'

describe('a text that was read and written again', () => {
  test.each([
    '{"NanoCPUs":9223372036854775807}',
    '{"MaxReplicas":18446744073709551615,"n":1}',
    '{"ratio":0.10000000000000000555,"e":1e-07,"z":-0,"one":1.0,"big":1E400}',
    '{"__proto__":{"a":1},"constructor":2}',
    '[1,2.5,-3,null,true,false,"",{},[]]',
    '"9223372036854775807"',
  ])('%s is the same text', (text) => {
    expect(stringifyJson(parseJson(text))).toBe(text)
  })

  test('keeps any JSON', () => {
    const number = fc.oneof(
      fc.bigInt().map(String),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    )
    const text = fc.array(fc.tuple(fc.string(), number)).map((members) => {
      const unique = [...new Map(members.filter(([key]) => !/^\d+$/.test(key)))]
      return `{${unique.map(([key, digits]) => `${JSON.stringify(key)}:${digits}`).join(',')}}`
    })
    fc.assert(fc.property(text, (json) => stringifyJson(parseJson(json)) === json))
  })

  test('means the same where Go escapes what JavaScript does not', () => {
    const text = '{"Env":["A=\\u003c\\u0026\\u003e"],"Limit":9007199254740993}\n'
    expect(stringifyJson(parseJson(text))).toBe('{"Env":["A=<&>"],"Limit":9007199254740993}')
  })
})

test('numbers that JavaScript holds are numbers', () => {
  expect(parseJson('{"Index":42,"big":9007199254740993}')).toMatchObject({ Index: 42 })
})

test('what is no JSON throws', () => {
  expect(() => parseJson('<html>')).toThrow(SyntaxError)
})
