import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { templateFingerprint } from '../../src/history/template-fingerprint.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'

const TEMPLATE = {
  ContainerSpec: { Image: 'me/app:v1', Env: ['A=1', 'B=2'], Labels: { a: '1', b: '2' } },
  Placement: { Constraints: ['node.role==worker'] },
  Resources: { Limits: { MemoryBytes: 1000 } },
}

function fingerprint(TaskTemplate: object): string {
  return templateFingerprint({ Name: 'blog', TaskTemplate } as ServiceSpec)
}

test('a fingerprint has 14 hexadecimal digits', () => {
  expect(fingerprint(TEMPLATE)).toMatch(/^[0-9a-f]{14}$/)
  expect(fingerprint({})).toMatch(/^[0-9a-f]{14}$/)
})

test.each([
  ['the image', { ...TEMPLATE, ContainerSpec: { ...TEMPLATE.ContainerSpec, Image: 'me/app:v2' } }],
  ['ForceUpdate', { ...TEMPLATE, ForceUpdate: 2n ** 60n }],
  [
    'platforms',
    { ...TEMPLATE, Placement: { ...TEMPLATE.Placement, Platforms: [{ OS: 'linux' }] } },
  ],
  ['a member that is empty', { ...TEMPLATE, Networks: [], LogDriver: {}, Runtime: null }],
])('%s changes nothing', (_, template) => {
  expect(fingerprint(template)).toBe(fingerprint(TEMPLATE))
})

test('platforms alone are as good as no placement', () => {
  expect(fingerprint({ Placement: { Platforms: [{ OS: 'linux' }] } })).toBe(fingerprint({}))
})

test.each([
  ['the environment', { ...TEMPLATE, ContainerSpec: { ...TEMPLATE.ContainerSpec, Env: ['A=1'] } }],
  ['its order', { ...TEMPLATE, ContainerSpec: { ...TEMPLATE.ContainerSpec, Env: ['B=2', 'A=1'] } }],
  ['a constraint', { ...TEMPLATE, Placement: { Constraints: ['node.role==manager'] } }],
  ['a limit', { ...TEMPLATE, Resources: { Limits: { MemoryBytes: 1001 } } }],
  ['a false value', { ...TEMPLATE, Init: false }],
])('%s changes it', (_, template) => {
  expect(fingerprint(template)).not.toBe(fingerprint(TEMPLATE))
})

test('a number beyond 2^53 is exact', () => {
  const limit = (MemoryBytes: bigint): string => fingerprint({ Resources: { MemoryBytes } })
  expect(limit(2n ** 60n)).not.toBe(limit(2n ** 60n + 1n))
})

test('the order of members changes nothing', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (members) => {
      const reversed = Object.fromEntries(Object.entries(members).reverse())
      expect(fingerprint({ Resources: reversed })).toBe(fingerprint({ Resources: members }))
    }),
  )
})
