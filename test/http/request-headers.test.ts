import { describe, expect, test } from 'vitest'
import { readIdempotencyKey, readRegistryAuth } from '../../src/http/request-headers.ts'
import { readRequest } from '../support/read-request.ts'

describe('readRegistryAuth', () => {
  const object = JSON.stringify({ username: 'm?>', password: 'hunter2' })
  const base64url = Buffer.from(object).toString('base64url')

  test.each([
    ['none', undefined, undefined],
    ['an empty one', '', undefined],
    ['base64url', base64url, base64url],
    ['base64url of an empty object', 'e30', 'e30'],
    ['base64url with padding', 'e30=', 'e30='],
  ])('%s', async (_, header, value) => {
    const headers = header === undefined ? {} : { 'X-Registry-Auth': header }
    expect(await readRequest(readRegistryAuth, { headers })).toEqual({ value })
  })

  test.each([
    [object],
    ['hunter2'],
    [Buffer.from('"hunter2"').toString('base64url')],
    [Buffer.from('[{}]').toString('base64url')],
    [Buffer.from('null').toString('base64url')],
    [base64url.slice(0, -3)],
    [`${base64url} ${base64url}`],
    ['===='],
  ])('%s is rejected with a message that does not contain it', async (header) => {
    const result = await readRequest(readRegistryAuth, { headers: { 'X-Registry-Auth': header } })
    expect(result.code).toBe('malformed-request')
    expect(result.message).not.toContain('hunter2')
    expect(result.message).not.toContain(header)
  })
})

describe('readIdempotencyKey', () => {
  test.each([
    ['none', undefined, undefined],
    ['an empty one', '', undefined],
    [
      'any text',
      '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
      '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    ],
    ['255 characters', 'x'.repeat(255), 'x'.repeat(255)],
  ])('%s', async (_, header, value) => {
    const headers = header === undefined ? {} : { 'Idempotency-Key': header }
    expect(await readRequest(readIdempotencyKey, { headers })).toEqual({ value })
  })

  test('256 characters are rejected', async () => {
    const headers = { 'Idempotency-Key': 'x'.repeat(256) }
    expect(await readRequest(readIdempotencyKey, { headers })).toMatchObject({
      code: 'malformed-request',
    })
  })
})
