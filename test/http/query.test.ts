import { describe, expect, test } from 'vitest'
import { readDryRun, readWait } from '../../src/http/query.ts'
import { parseDuration } from '../../src/text/duration.ts'
import { readRequest } from '../support/read-request.ts'

describe('readWait', () => {
  test.each([
    ['', undefined],
    ['?wait=0', 0],
    ['?wait=50', 50_000],
    ['?wait=50s', 50_000],
    ['?wait=5m', 300_000],
    ['?wait=1h', 3_600_000],
    ['?wait=3600', 3_600_000],
    ['?wait=007', 7000],
  ])('%j is %j ms', async (query, value) => {
    expect(await readRequest(readWait, { query })).toEqual({ value })
  })

  test.each([
    ['?wait'],
    ['?wait='],
    ['?wait=3601'],
    ['?wait=61m'],
    ['?wait=2h'],
    ['?wait=-1'],
    ['?wait=%2B5'],
    ['?wait=1.5'],
    ['?wait=1e3'],
    ['?wait=0x10'],
    ['?wait=5M'],
    ['?wait=5ms'],
    ['?wait=5%20s'],
    ['?wait=5%0a'],
    [`?wait=${'9'.repeat(400)}`],
  ])('%s is rejected with a short message', async (query) => {
    const { code, message } = await readRequest(readWait, { query })
    expect(code).toBe('malformed-request')
    expect(message?.length).toBeLessThan(300)
  })
})

test('parseDuration returns a safe integer or nothing', () => {
  for (const text of ['', 's', '1', '999999999h', '9999999999', '1 ', '１']) {
    const milliseconds = parseDuration(text)
    expect(milliseconds === undefined || Number.isSafeInteger(milliseconds)).toBe(true)
  }
  expect(parseDuration('１')).toBeUndefined()
})

describe('readDryRun', () => {
  test.each([
    ['', false],
    ['?dryRun=true', true],
    ['?dryRun=false', false],
  ])('%j is %j', async (query, value) => {
    expect(await readRequest(readDryRun, { query })).toEqual({ value })
  })

  test.each([['?dryRun'], ['?dryRun='], ['?dryRun=1'], ['?dryRun=True']])(
    '%s is rejected, so that a misspelled dry run does not deploy',
    async (query) => {
      expect(await readRequest(readDryRun, { query })).toMatchObject({ code: 'malformed-request' })
    },
  )
})
