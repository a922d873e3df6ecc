import { describe, expect, test } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import {
  canonicalForm,
  familiarForm,
  isExpectedImage,
  isSameImage,
  isSameRepository,
  parseImageReference,
  pinnedForm,
} from '../../src/swarm/image-reference.ts'
import { readVectors } from '../support/vector-files.ts'

interface Vector {
  readonly input: string
  readonly valid: boolean
  readonly domain?: string
  readonly path?: string
  readonly tag?: string
  readonly digest?: string
  readonly familiar?: string
  readonly canonical?: string
}

describe('parseImageReference', () => {
  const vectors = readVectors<Vector>('image-references.jsonl')

  test('there are 300 vectors', () => {
    expect(vectors).toHaveLength(300)
  })

  test.each(vectors)('reads $input as the reference library does', ({ input, valid, ...parts }) => {
    if (!valid) {
      expect(() => parseImageReference(input)).toThrow(DeployerError)
      return
    }
    const { given, domain, ...rest } = parseImageReference(input)
    const reference = { given, domain, ...rest }
    expect(given).toBe(input)
    expect({
      ...rest,
      ...(domain === '' ? {} : { domain }),
      familiar: familiarForm(reference),
      canonical: canonicalForm(reference),
    }).toEqual(parts)
  })

  test('names the reference and the remedy in its error', () => {
    expect(() => parseImageReference('me/Blog:1')).toThrow(
      'Cannot read "me/Blog:1" as an image reference: the repository name must be lower case',
    )
    expect(() => parseImageReference('x'.repeat(60_000))).toThrow(/^.{0,400}$/)
  })

  test.each([
    ['https://ghcr.io/me/blog:v1', 'it is a URL'],
    ['HTTP://ghcr.io/me/blog', 'it is a URL'],
    ['me/blog:', 'its tag is empty'],
    [`me/blog:@sha256:${'a'.repeat(64)}`, 'its tag is empty'],
    [`sha256:${'a'.repeat(64)}`, 'it is a digest without a name'],
    ['a'.repeat(64), 'it is an image ID'],
  ])('explains the mistake in %s', (given, remedy) => {
    expect(() => parseImageReference(given)).toThrow(`as an image reference: ${remedy}`)
  })

  test.each([['a-'], ['a.'], ['a/'], ['a_'], ['A-'], [':'], ['x@a+'], ['[']])(
    'takes time in proportion to the length for %s repeated to 64 KiB',
    (piece) => {
      const [short, long] = [16_384, 65_536].map((length) => {
        const text = `${piece.repeat(length / piece.length)}!`
        return shortestMs(() => expect(() => parseImageReference(text)).toThrow(DeployerError))
      })
      // Four times the text takes four times as long; sixteen times if the time were quadratic.
      expect(long).toBeLessThan(10 * Math.max(short ?? 0, 0.1))
    },
  )
})

/** The shortest of several runs is hardly affected by other processes. */
function shortestMs(act: () => void): number {
  const runs = Array.from({ length: 15 }, () => {
    const startedAt = performance.now()
    act()
    return performance.now() - startedAt
  })
  return Math.min(...runs)
}

describe('isSameImage', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  test.each([
    ['nginx', 'docker.io/library/nginx:latest', true],
    ['index.docker.io/me/blog:1', 'me/blog:1', true],
    ['me/blog:1', 'me/blog:2', false],
    ['me/blog:1', `me/blog:1@${digest}`, false],
    [`me/blog@${digest}`, `me/blog@${digest}`, true],
    [`me/blog@${digest}`, `me/blog:latest@${digest}`, false],
    ['me/blog', 'Not A Reference', false],
  ])('%s and %s: %s', (one, other, same) => {
    expect(isSameImage(parseImageReference(one), other)).toBe(same)
  })
})

describe('isSameRepository', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  test.each([
    ['nginx', 'docker.io/library/nginx:1.27', true],
    ['nginx:1', `index.docker.io/library/nginx@${digest}`, true],
    ['me/app', 'me/app2', false],
    ['me/app', 'ghcr.io/me/app', false],
    ['localhost:5000/app', 'localhost:5001/app', false],
    ['a_b.com/app:1', 'a_b.com/app:2', true],
    ['me/app', 'Not A Reference', false],
    ['me/app', '', false],
  ])('%s and %s: %s', (one, other, same) => {
    expect(isSameRepository(parseImageReference(one), other)).toBe(same)
  })
})

describe('isExpectedImage', () => {
  const [one, other] = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`)
  test.each([
    ['me/app:v1', 'me/app:v1', true],
    ['me/app:v1', `me/app:v1@${one}`, true],
    ['me/app:v1', 'me/app:v2', false],
    ['me/app', 'me/app:latest', true],
    ['me/app', `me/app:latest@${one}`, true],
    ['me/app:latest', 'me/app', true],
    ['me/app', 'me/app:v1', false],
    ['me/app:latest', `me/app@${one}`, false],
    [`me/app@${one}`, `me/app:v1@${one}`, true],
    [`me/app@${one}`, `me/app@${one}`, true],
    [`me/app@${one}`, `me/app:v1@${other}`, false],
    [`me/app@${one}`, 'me/app:v1', false],
    [`me/app:v1@${one}`, `me/app:v1@${one}`, true],
    [`me/app:v1@${one}`, `me/app:v2@${one}`, false],
    [`me/app:v1@${one}`, `me/app:v1@${other}`, false],
    ['nginx', 'docker.io/library/nginx', true],
    ['nginx', 'ghcr.io/library/nginx', false],
    ['nginx', 'Not A Reference', false],
    ['nginx', '', false],
  ])('%s is expected, %s runs: %s', (expected, running, isExpected) => {
    expect(isExpectedImage(parseImageReference(expected), running)).toBe(isExpected)
  })
})

describe('pinnedForm', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const given = `sha256:${'b'.repeat(64)}`
  test.each([
    ['nginx', `nginx:latest@${digest}`],
    ['docker.io/library/nginx:1', `nginx:1@${digest}`],
    ['docker.io/me/app:v1', `me/app:v1@${digest}`],
    ['ghcr.io/me/app', `ghcr.io/me/app:latest@${digest}`],
    ['a_b.com/app', `a_b.com/app:latest@${digest}`],
    [`nginx@${given}`, `nginx@${given}`],
    [`docker.io/library/nginx:1@${given}`, `docker.io/library/nginx:1@${given}`],
  ])('%s becomes %s, which is read as the same repository', (image, pinned) => {
    const reference = parseImageReference(image)
    expect(pinnedForm(reference, digest)).toBe(pinned)
    expect(isSameRepository(reference, pinned)).toBe(true)
    expect(isExpectedImage(reference, pinned)).toBe(true)
  })
})
