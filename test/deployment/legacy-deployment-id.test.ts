import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { Deployment } from '../../src/deployment/deployment.ts'
import {
  legacyDeploymentId,
  parseLegacyDeploymentId,
} from '../../src/deployment/legacy-deployment-id.ts'

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'
const word = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...LETTERS), minLength, maxLength })
const image = fc
  .tuple(word(1, 20), word(1, 20), word(1, 20), fc.boolean())
  .map(([owner, name, tag, isPinned]) =>
    isPinned ? `${owner}/${name}:${tag}@sha256:${'a'.repeat(64)}` : `${owner}/${name}:${tag}`,
  )
const deployments: fc.Arbitrary<Deployment> = fc
  .record({
    service: word(1, 63),
    serviceId: word(25, 25),
    image,
    resolved: image,
    previous: fc.oneof(image, fc.constant('')),
    forceUpdate: fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })).map(String),
    versionIndex: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    startedAt: fc
      .date({
        min: new Date('2000-01-01'),
        max: new Date('2100-01-01'),
        noInvalidDate: true,
      })
      .map((date) => date.toISOString()),
    unwritten: fc.constantFrom(undefined, 'unchanged' as const, 'superseded' as const),
  })
  .map(({ unwritten, ...rest }) => (unwritten === undefined ? rest : { ...rest, unwritten }))

const DEPLOYMENT: Deployment = {
  service: 'blog',
  serviceId: 'b'.repeat(25),
  image: 'me/blog:v2',
  resolved: `me/blog:v2@sha256:${'a'.repeat(64)}`,
  previous: 'me/blog:v1',
  forceUpdate: '0',
  versionIndex: 42,
  startedAt: '2026-11-24T14:00:00.000Z',
}

function encoded(json: string): string {
  return btoa(json).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

function readable(deployment: Deployment): string {
  return Buffer.from(legacyDeploymentId(deployment), 'base64url').toString()
}

/** Whatever a text is read as, that has no other ID. */
function expectOneSpelling(text: string): void {
  const read = parseLegacyDeploymentId(text)
  if (read !== undefined) {
    expect(legacyDeploymentId(read)).toBe(text)
  }
}

describe('a deployment ID of an earlier version', () => {
  test('is decoded to the deployment that it was created from', () => {
    fc.assert(
      fc.property(deployments, (deployment) => {
        const id = legacyDeploymentId(deployment)
        expect(id).toMatch(/^[A-Za-z0-9_-]+$/)
        expect(parseLegacyDeploymentId(id)).toEqual(deployment)
      }),
    )
  })

  test('has the format of earlier versions', () => {
    expect(legacyDeploymentId(DEPLOYMENT)).toBe(
      encoded(
        `[1,"blog","${'b'.repeat(25)}","me/blog:v2","me/blog:v2@sha256:${'a'.repeat(64)}","me/blog:v1",0,42,1795528800000,""]`,
      ),
    )
  })

  test.each([
    ['3', '3'],
    [String(Number.MAX_SAFE_INTEGER), String(Number.MAX_SAFE_INTEGER)],
    ['9007199254740992', '"9007199254740992"'],
    ['17326312345678901', '"17326312345678901"'],
    ['18446744073709551615', '"18446744073709551615"'],
  ])('holds a ForceUpdate of %s as %s', (forceUpdate, json) => {
    const id = encoded(readable(DEPLOYMENT).replace(',0,42,', `,${json},42,`))
    expect(legacyDeploymentId({ ...DEPLOYMENT, forceUpdate })).toBe(id)
    expect(parseLegacyDeploymentId(id)).toEqual({ ...DEPLOYMENT, forceUpdate })
  })

  test.each(['"0"', '"3"', '-1', '1.5', '1e3', '17326312345678901', '"017326312345678901"'])(
    'with a ForceUpdate of %s is none',
    (json) => {
      expect(
        parseLegacyDeploymentId(encoded(readable(DEPLOYMENT).replace(',0,42,', `,${json},42,`))),
      ).toBeUndefined()
    },
  )

  test.each(['"18446744073709551616"', '"1e17"', '""', 'null', '["0"]', '{"toString":1}'])(
    'with %s in place of a ForceUpdate is none, and never throws',
    (json) => {
      expect(
        parseLegacyDeploymentId(encoded(readable(DEPLOYMENT).replace(',0,42,', `,${json},42,`))),
      ).toBeUndefined()
    },
  )

  test('that is truncated is invalid', () => {
    fc.assert(
      fc.property(deployments, fc.nat(), (deployment, length) => {
        const id = legacyDeploymentId(deployment)
        expect(parseLegacyDeploymentId(id.slice(0, length % id.length))).toBeUndefined()
      }),
    )
  })

  test('with one bit changed never throws, and is invalid or the only ID of another deployment', () => {
    const id = legacyDeploymentId(DEPLOYMENT)
    for (let at = 0; at < id.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const flipped = String.fromCharCode(id.charCodeAt(at) ^ (1 << bit))
        expectOneSpelling(id.slice(0, at) + flipped + id.slice(at + 1))
      }
    }
  })

  test('never throws for any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), expectOneSpelling))
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(parseLegacyDeploymentId(Buffer.from(json).toString('base64url'))).toBeUndefined()
      }),
    )
  })

  test.each([
    ['blanks', (json: string) => json.replace(',', ', ')],
    ['another number', (json: string) => json.replace(',42,', ',4.2e1,')],
    ['an escape', (json: string) => json.replace('"blog"', '"\\u0062log"')],
    ['a control character', (json: string) => json.replace('me/blog:v1"', '\\n"')],
    ['a character beyond Latin-1', (json: string) => json.replace('me/blog:v1"', '\\u20ac"')],
    [
      'an image that is too long',
      (json: string) => json.replace('me/blog:v1"', `${'x'.repeat(1025)}"`),
    ],
    ['a name with a slash', (json: string) => json.replace('"blog"', '"../blog"')],
    ['an ID with a slash', (json: string) => json.replace('bbb', 'b/b')],
    ['a later format', (json: string) => json.replace('[1,', '[2,')],
    [
      'a time beyond all dates',
      (json: string) => json.replace('1795528800000', '9000000000000000'),
    ],
    ['another reason', (json: string) => json.replace(',""]', ',"converged"]')],
    ['one part more', (json: string) => json.replace(',""]', ',"",0]')],
  ])('with %s is invalid', (_, change) => {
    const json = readable(DEPLOYMENT)
    expect(parseLegacyDeploymentId(encoded(json))).toEqual(DEPLOYMENT)
    expect(change(json)).not.toBe(json)
    expect(parseLegacyDeploymentId(encoded(change(json)))).toBeUndefined()
  })

  test('of a megabyte is rejected without being decoded', () => {
    const decode = vi.spyOn(globalThis, 'atob')
    try {
      expect(parseLegacyDeploymentId('W'.repeat(1_000_000))).toBeUndefined()
      expect(decode).not.toHaveBeenCalled()
      expect(parseLegacyDeploymentId('W'.repeat(1000))).toBeUndefined()
      expect(decode).toHaveBeenCalledOnce()
    } finally {
      decode.mockRestore()
    }
  })
})
