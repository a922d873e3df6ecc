// The ID of a deployment.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type DeploymentKey,
  deploymentId,
  isFinal,
  parseDeploymentId,
} from '../../src/deployment/deployment.ts'
import { isDeployment } from '../../src/deployment/deployment-json.ts'

const KEY: DeploymentKey = {
  serviceId: '4cdgfyky7ozwh3htjfw0d12qv',
  versionIndex: 1042,
  startedAt: '2026-11-24T14:00:00.000Z',
}
const keys: fc.Arbitrary<DeploymentKey> = fc
  .record({
    serviceId: fc.stringMatching(/^[a-z0-9]{25}$/),
    versionIndex: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    startedAt: fc
      .date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString()),
    unwritten: fc.constantFrom(undefined, 'unchanged', 'superseded', 'observed' as const),
  })
  .map(({ unwritten, ...rest }) => ({ ...rest, ...(unwritten === undefined ? {} : { unwritten }) }))

describe('a deployment ID', () => {
  test('is short, and has the ID of the service, the version and the start', () => {
    expect(deploymentId(KEY)).toBe('4cdgfyky7ozwh3htjfw0d12qv-1042-mwurhkw0')
    expect(deploymentId({ ...KEY, unwritten: 'unchanged' })).toMatch(/-1042-mwurhkw0-u$/)
    expect(deploymentId({ ...KEY, unwritten: 'superseded' })).toMatch(/-s$/)
    expect(deploymentId({ ...KEY, unwritten: 'observed' })).toMatch(/-o$/)
  })

  test('is read as what it was created from, and there is no other ID for that', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const id = deploymentId(key)
        expect(id).toMatch(/^[a-z0-9-]{29,60}$/)
        expect(parseDeploymentId(id)).toEqual(key)
      }),
    )
  })

  test('never throws for any text, and is the only one of a deployment', () => {
    const changed = fc.tuple(keys, fc.nat({ max: 60 }), fc.string({ maxLength: 2 }))
    const texts = changed.map(([key, at, text]) => {
      const id = deploymentId(key)
      return id.slice(0, at) + text + id.slice(at + 1)
    })
    fc.assert(
      fc.property(fc.oneof(texts, fc.string()), (text) => {
        const key = parseDeploymentId(text)
        expect(key === undefined || deploymentId(key) === text).toBe(true)
      }),
    )
  })

  test.each([
    ['', 'nothing'],
    ['4cdgfyky7ozwh3htjfw0d12qv', 'a service'],
    ['4cdgfyky7ozwh3htjfw0d12qv-1042', 'no start'],
    ['4cdgfyky7ozwh3htjfw0d12qv-01042-mwurhkw0', 'a leading zero'],
    ['4cdgfyky7ozwh3htjfw0d12qv-1042-0mwurhkw0', 'a leading zero of the start'],
    ['4cdgfyky7ozwh3htjfw0d12qv-1042-mwurhkw0-x', 'another suffix'],
    ['4cdgfyky7ozwh3htjfw0d12qv-1042-mwurhkw0-u-u', 'two suffixes'],
    ['4cdgfyky7ozwh3htjfw0d12qv-1042-zzzzzzzzzzz', 'a time beyond all dates'],
    ['4cdgfyky7ozwh3htjfw0d12qv-99999999999999999-mwurhkw0', 'an index beyond all numbers'],
    ['4CDGFYKY7OZWH3HTJFW0D12QV-1042-mwurhkw0', 'capital letters'],
    ['4cdgfyky7ozwh3htjfw0d12qv-1042-mwurhkw0\n', 'a line break'],
  ])('%j has %s, and is none', (id) => {
    expect(parseDeploymentId(id)).toBeUndefined()
  })
})

test('a deployment that was not written is final, unless it observes the service', () => {
  expect(isFinal(KEY)).toBe(false)
  expect(isFinal({ ...KEY, unwritten: 'observed' })).toBe(false)
  expect(isFinal({ ...KEY, unwritten: 'unchanged' })).toBe(true)
  expect(isFinal({ ...KEY, unwritten: 'superseded' })).toBe(true)
})

describe('a deployment from JSON', () => {
  const valid = {
    ...KEY,
    ...{ service: 'blog', image: 'me/app:v2', resolved: 'me/app:v2', previous: '' },
    forceUpdate: '17326312345678901',
  }

  test('has all members', () => {
    expect(isDeployment(JSON.parse(JSON.stringify(valid)))).toBe(true)
    for (const name of Object.keys(valid)) {
      const { [name as keyof typeof valid]: _, ...rest } = valid
      expect([name, isDeployment(rest)]).toEqual([name, false])
      expect([name, isDeployment({ ...valid, [name]: {} })]).toEqual([name, false])
    }
  })

  test.each([
    undefined,
    null,
    1,
    'blog',
    [],
    { ...valid, forceUpdate: '01' },
    { ...valid, forceUpdate: 3 },
    { ...valid, startedAt: 'yesterday' },
    { ...valid, serviceId: '../x' },
    { ...valid, versionIndex: -1 },
    { ...valid, unwritten: 'converged' },
  ])('%j is none', (value) => {
    expect(isDeployment(value)).toBe(false)
  })
})
