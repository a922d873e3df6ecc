import { describe, expect, test } from 'vitest'
import { distributionPath, parseDistribution } from '../../../src/node/docker/distribution.ts'

const SHA_256 = `sha256:${'a'.repeat(64)}`

describe('the path', () => {
  test.each([
    ['docker.io/me/blog:v1.12', '/distribution/docker.io/me/blog%3Av1.12/json'],
    ['127.0.0.1:5000/a/b:v1..2', '/distribution/127.0.0.1%3A5000/a/b%3Av1..2/json'],
    ['[::1]:5000/app:v1', '/distribution/%5B%3A%3A1%5D%3A5000/app%3Av1/json'],
    [`r.io/app@${SHA_256}`, `/distribution/r.io/app%40sha256%3A${'a'.repeat(64)}/json`],
  ])('%s', (reference, path) => {
    expect(distributionPath(reference)).toBe(path)
  })

  test.each([
    '',
    '/',
    'a//b',
    'a/',
    '/a',
    '..',
    'a/../../containers/json',
    'a/./b',
    'a?x=1',
    'a#x',
    'a%2f..%2fb',
    'a b',
    'a\nb',
    'a\\b',
    'é/b',
    '\ud800',
  ])('is undefined for %j', (reference) => {
    expect(distributionPath(reference)).toBeUndefined()
  })
})

describe('the response', () => {
  test('contains the digest and all platforms in order, including unknown ones', () => {
    const body = {
      Descriptor: { mediaType: 'x', digest: SHA_256, size: 527 },
      Platforms: [
        { architecture: 'arm64', os: 'linux', variant: 'v8' },
        { architecture: 'amd64', os: 'linux' },
        { architecture: 'unknown', os: 'unknown' },
        { os: 'windows', 'os.version': '10.0' },
        {},
      ],
    }
    expect(parseDistribution(body)).toEqual({
      digest: SHA_256,
      platforms: [
        { Architecture: 'arm64', OS: 'linux' },
        { Architecture: 'amd64', OS: 'linux' },
        { Architecture: 'unknown', OS: 'unknown' },
        { OS: 'windows' },
        {},
      ],
    })
  })

  test.each([SHA_256, `sha384:${'0'.repeat(96)}`, `sha512:${'f'.repeat(128)}`])(
    'has a digest: %s',
    (digest) => {
      expect(parseDistribution({ Descriptor: { digest }, Platforms: null })).toEqual({
        digest,
        platforms: [],
      })
    },
  )

  test.each([
    undefined,
    7,
    '',
    'sha256:',
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'A'.repeat(64)}`,
    `${SHA_256}\n`,
    ` ${SHA_256}`,
    `md5:${'a'.repeat(32)}`,
    `sha256:${'a'.repeat(128)}`,
  ])('%j is not a digest', (digest) => {
    expect(parseDistribution({ Descriptor: { digest }, Platforms: [] })).toBeUndefined()
  })

  test.each([
    null,
    'text',
    [],
    {},
    { Descriptor: null },
    { Descriptor: { digest: SHA_256 }, Platforms: {} },
    { Descriptor: { digest: SHA_256 }, Platforms: 'linux' },
  ])('%j is not accepted', (body) => {
    expect(parseDistribution(body)).toBeUndefined()
  })
})
