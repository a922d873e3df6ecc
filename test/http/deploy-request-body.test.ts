import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import {
  readDeployRequestBody,
  readDryRun,
  readIdempotencyKey,
  readRegistryAuth,
  readWait,
  wantsEvents,
} from '../../src/http/deploy-request-body.ts'
import { parseDuration } from '../../src/text/duration.ts'

/** What a reader makes of a request: its value, or the code and message of its refusal. */
async function read(
  reader: (c: Parameters<typeof readWait>[0]) => unknown,
  init: RequestInit & { readonly query?: string } = {},
): Promise<{ value?: unknown; code?: string; message?: string }> {
  const app = new Hono()
  let result = {}
  app.all('/', async (c) => {
    try {
      result = { value: await reader(c) }
    } catch (error) {
      const { code, message } = error instanceof DeployerError ? error : { code: '', message: '' }
      result = { code, message }
    }
    return c.body(null)
  })
  await app.request(`/${init.query ?? ''}`, init)
  return result
}

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
    expect(await read(readWait, { query })).toEqual({ value })
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
  ])('%s is refused, and the message stays short', async (query) => {
    const { code, message } = await read(readWait, { query })
    expect(code).toBe('malformed-request')
    expect(message?.length).toBeLessThan(300)
  })
})

test('parseDuration never gives what is no number', () => {
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
    expect(await read(readDryRun, { query })).toEqual({ value })
  })

  test.each([['?dryRun'], ['?dryRun='], ['?dryRun=1'], ['?dryRun=True']])(
    '%s is refused: who asks for a dry run must not deploy by a mistake',
    async (query) => {
      expect(await read(readDryRun, { query })).toMatchObject({ code: 'malformed-request' })
    },
  )
})

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
    expect(await read(readRegistryAuth, { headers })).toEqual({ value })
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
  ])('%s is refused, and the message does not show it', async (header) => {
    const result = await read(readRegistryAuth, { headers: { 'X-Registry-Auth': header } })
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
    expect(await read(readIdempotencyKey, { headers })).toEqual({ value })
  })

  test('256 characters are refused', async () => {
    const headers = { 'Idempotency-Key': 'x'.repeat(256) }
    expect(await read(readIdempotencyKey, { headers })).toMatchObject({ code: 'malformed-request' })
  })
})

test.each([
  [undefined, false],
  ['*/*', false],
  ['text/*', false],
  ['text/event-stream', true],
  ['text/event-stream; charset=utf-8', true],
  ['application/json,text/event-stream', true],
  ['text/event-stream-x', false],
])('Accept: %s asks for events: %s', async (accept, value) => {
  const headers = accept === undefined ? {} : { Accept: accept }
  expect(await read(wantsEvents, { headers })).toEqual({ value })
})

describe('readWishBody', () => {
  const readBody = (body: string) => read(readDeployRequestBody, { method: 'PUT', body })

  test('gives image, expectation and force, and passes over what it does not know', async () => {
    const { value } = await readBody(
      '{"image": "nginx", "expect": "me/app:v1", "force": true, "tag": 1, "__proto__": {"force": 1}}',
    )
    expect(value).toMatchObject({
      image: { given: 'nginx', path: 'library/nginx' },
      expect: { given: 'me/app:v1' },
      force: true,
    })
  })

  test.each([
    ['{"force": true}', { image: undefined, expect: undefined, force: true }],
    ['{"force": true, "image": "a"}', { image: { given: 'a' }, force: true }],
    ['{"image": "a"}', { image: { given: 'a' }, expect: undefined, force: false, metadata: {} }],
    ['{"Image": "a"}', { image: { given: 'a' } }],
    ['{"IMAGE": "a", "force": true}', { image: { given: 'a' }, force: true }],
    ['{"force": true, "image": null}', { image: undefined, force: true }],
    [
      '{"image": "a", "expect": null, "force": null, "metadata": null}',
      { image: { given: 'a' }, expect: undefined, force: false, metadata: {} },
    ],
    ['{"image": "a", "metadata": {"commit": "1f2e3d"}}', { metadata: { commit: '1f2e3d' } }],
  ])('%s', async (body, value) => {
    expect((await readBody(body)).value).toMatchObject(value)
  })

  test.each([
    ['{}', 'malformed-request'],
    ['{"expect": "a"}', 'malformed-request'],
    ['{"force": false}', 'malformed-request'],
    ['{"force": "true"}', 'malformed-request'],
    ['{"force": null}', 'malformed-request'],
    ['{"image": null}', 'malformed-request'],
    ['{"image": null, "Image": "a"}', 'malformed-request'],
    ['{"image": "a", "image": "b"}', 'malformed-request'],
    ['{"image": "a", "Force": true}', 'malformed-request'],
    ['{"image": "a", "dryRun": true}', 'malformed-request'],
    ['{"image": "a"} {"image": "b"}', 'malformed-request'],
    ['{"image": "a"}x', 'malformed-request'],
    ['{"image": "a", "metadata": {"build": 42}}', 'malformed-request'],
    ['{"image": "a", "expect": ["a"]}', 'malformed-request'],
    ['{"image": "a", "expect": ""}', 'invalid-image-reference'],
    ['{"__proto__": {"image": "a"}}', 'malformed-request'],
    ['[]', 'malformed-request'],
    ['"a"', 'malformed-request'],
    ['', 'malformed-request'],
  ])('%s is %s', async (body, code) => {
    expect(await readBody(body)).toMatchObject({ code })
  })
})
