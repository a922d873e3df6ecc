import { describe, expect, test } from 'vitest'
import {
  canonicalForm,
  familiarForm,
  isSameImage,
  parseImageReference,
} from '../src/image-reference.ts'
import { DeployerError } from '../src/problem.ts'
import { readVectors } from './support/vectors.ts'

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

  test('names the reference and the remedy when it refuses', () => {
    expect(() => parseImageReference('me/Blog:1')).toThrow(
      'Cannot read "me/Blog:1" as an image reference: the repository name must be lower case',
    )
    expect(() => parseImageReference('x'.repeat(60_000))).toThrow(/^.{0,400}$/)
  })

  test.each([['a-'], ['a.'], ['a/'], ['a_'], ['A-'], [':'], ['x@a+'], ['[']])(
    'takes no longer than reading the text for %s repeated to 64 KiB',
    (piece) => {
      const text = `${piece.repeat(65_536 / piece.length)}!`
      const startedAt = performance.now()
      expect(() => parseImageReference(text)).toThrow(DeployerError)
      expect(performance.now() - startedAt).toBeLessThan(500)
    },
  )
})

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
