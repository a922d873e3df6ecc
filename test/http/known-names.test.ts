import { describe, expect, test } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import { checkNames, type NamePlace } from '../../src/http/known-names.ts'
import { memberNames } from '../../src/http/member-names.ts'

function faultOf(place: NamePlace, names: readonly string[]): string | undefined {
  try {
    checkNames(place, names)
    return undefined
  } catch (error) {
    if (error instanceof DeployerError && error.code === 'malformed-request') return error.message
    throw error
  }
}

describe('checkNames', () => {
  test.each<[NamePlace, readonly string[]]>([
    ['query', []],
    ['query', ['wait', 'dryRun']],
    ['query', ['', '-', '_', 'x', 'dry', 'run', 'waiting', 'dryRunNow', 'x-wait', 'dry.run']],
    ['query', ['x', 'x']],
    ['body', ['image', 'expect', 'force', 'metadata']],
    ['body', ['Image']],
    ['body', ['IMAGE', 'force']],
    ['body', ['tag', 'images', 'forced', '__proto__', 'constructor', 'tag']],
  ])('accepts in the %s: %j', (place, names) => {
    expect(faultOf(place, names)).toBeUndefined()
  })

  test.each<[NamePlace, readonly string[], string]>([
    ['query', ['dryrun'], 'the query parameter "dryrun": it is spelled "dryRun"'],
    ['query', ['dry-run'], 'the query parameter "dry-run": it is spelled "dryRun"'],
    ['query', ['dry_run'], 'the query parameter "dry_run": it is spelled "dryRun"'],
    ['query', ['DRYRUN'], 'the query parameter "DRYRUN": it is spelled "dryRun"'],
    ['query', ['--Dry--Run'], 'the query parameter "--Dry--Run": it is spelled "dryRun"'],
    ['query', ['x', 'Wait'], 'the query parameter "Wait": it is spelled "wait"'],
    [
      'query',
      ['force'],
      'the query parameter "force": send the member "force" of the JSON body instead',
    ],
    [
      'query',
      ['Image'],
      'the query parameter "Image": send the member "image" of the JSON body instead',
    ],
    [
      'body',
      ['image', 'dryRun'],
      'the body member "dryRun": send the query parameter "dryRun" instead, as in ?dryRun=true',
    ],
    [
      'body',
      ['dry_run'],
      'the body member "dry_run": send the query parameter "dryRun" instead, as in ?dryRun=true',
    ],
    [
      'body',
      ['wait'],
      'the body member "wait": send the query parameter "wait" instead, as in ?wait=50',
    ],
    ['body', ['Force'], 'the body member "Force": it is spelled "force"'],
    ['body', ['meta-data'], 'the body member "meta-data": it is spelled "metadata"'],
    ['body', ['im_age'], 'the body member "im_age": it is spelled "image"'],
    ['body', ['EXPECT'], 'the body member "EXPECT": it is spelled "expect"'],
    [
      'body',
      ['image', 'Image'],
      'the body member "Image": the request has it more than once; send it once',
    ],
    [
      'body',
      ['image', 'image'],
      'the body member "image": the request has it more than once; send it once',
    ],
    [
      'query',
      ['wait', 'wait'],
      'the query parameter "wait": the request has it more than once; send it once',
    ],
    ['query', ['dryRun', 'x', 'dryRun'], 'more than once'],
  ])('rejects in the %s: %j', (place, names, fault) => {
    expect(faultOf(place, names)).toContain(fault)
  })

  test('shortens a long name in the message', () => {
    expect(faultOf('query', [`${'-'.repeat(5000)}wait`])?.length).toBeLessThan(200)
  })
})

describe('memberNames', () => {
  test.each([
    ['{}', []],
    ['{"image":"a"}', ['image']],
    [' { "a" : 1 , "b" : [ {"c": 2}, "d" ] , "e" : {"f": {"g": 3}} } ', ['a', 'b', 'e']],
    ['{"a": "{\\"b\\": [", "c": "]}:"}', ['a', 'c']],
    ['{"a\\\\": "\\\\\\"", "b": 1}', ['a\\', 'b']],
    ['{"image": 1, "\\u0069mage": 2}', ['image', 'image']],
    ['{"a": true, "a": false, "__proto__": {"a": null}}', ['a', 'a', '__proto__']],
  ])('of %s', (text, names) => {
    expect(Object.keys(JSON.parse(text)).sort()).toEqual([...new Set(names)].sort())
    expect(memberNames(text)).toEqual(names)
  })
})
