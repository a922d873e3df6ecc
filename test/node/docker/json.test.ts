import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJson, stringifyJson } from '../../../src/node/docker/json.ts'

describe('JSON that is parsed and written again', () => {
  test.each([
    '{"NanoCPUs":9223372036854775807}',
    '{"MaxReplicas":18446744073709551615,"n":1}',
    '{"ratio":0.10000000000000000555,"e":1e-07,"z":-0,"one":1.0,"big":1E400}',
    '{"__proto__":{"a":1},"constructor":2}',
    '[1,2.5,-3,null,true,false,"",{},[]]',
    '"9223372036854775807"',
  ])('%s is unchanged', (text) => {
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

  test('has the same meaning where Go escapes characters that JavaScript does not escape', () => {
    const text = '{"Env":["A=\\u003c\\u0026\\u003e"],"Limit":9007199254740993}\n'
    expect(stringifyJson(parseJson(text))).toBe('{"Env":["A=<&>"],"Limit":9007199254740993}')
  })
})

test('numbers that JavaScript can represent are numbers, and a large ForceUpdate is a bigint', () => {
  const text =
    '{"Index":42,"ForceUpdate":17326312345678902,"a":[{"ForceUpdate":17326312345678901}],"__proto__":{"ForceUpdate":9007199254740992}}'
  const value = parseJson(text)
  expect(value).toMatchObject({
    Index: 42,
    ForceUpdate: 17326312345678902n,
    a: [{ ForceUpdate: 17326312345678901n }],
  })
  expect(stringifyJson(value)).toBe(text)
})

test('other large numbers can be used in arithmetic, with the precision of a number', () => {
  const { Monitor, Replicas } = parseJson(
    '{"Monitor":9223372036854775807,"Replicas":18446744073709551615}',
  ) as Readonly<Record<string, number>>
  expect((Monitor ?? 0) / 1_000_000).toBe(9223372036854.775)
  expect((Replicas ?? 0) > 5).toBe(true)
})

test('numbers within strings stay unchanged, and a string may end with backslashes', () => {
  const text = '{"a\\\\":"\\"17326312345678901\\\\","b":["\\\\",17326312345678901,":1e400"]}'
  expect(stringifyJson(parseJson(text))).toBe(text)
})

test('strings of several megabytes are parsed, whatever they contain', () => {
  const parts = ['\\\\', '\\"', 'x', '\\u2028', '1']
  const strings = parts.map((part) => `"${part.repeat(1_000_000)}"`)
  const value = parseJson(`{"ForceUpdate":17326312345678901,"strings":[${strings.join()}]}`)
  expect(value).toMatchObject({ ForceUpdate: 17326312345678901n })
  expect((value as { strings: string[] }).strings).toEqual(
    strings.map((string) => JSON.parse(string)),
  )
})

test.each(['{"a":01}', '{"a":12345678901234567890.}', '[9007199254740993-]', '{"a":1.}'])(
  '%s is not JSON, and throws',
  (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError)
  },
)

test('text that is not JSON throws', () => {
  expect(() => parseJson('<html>')).toThrow(SyntaxError)
})
