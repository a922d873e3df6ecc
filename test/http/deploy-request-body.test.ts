import { describe, expect, test } from 'vitest'
import { readDeployRequestBody } from '../../src/http/deploy-request-body.ts'
import { readRequest } from '../support/read-request.ts'

describe('readDeployRequestBody', () => {
  const readBody = (body: string) => readRequest(readDeployRequestBody, { method: 'PUT', body })

  test('returns image, expectation and force, and ignores unknown members', async () => {
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
