import { describe, expect, test } from 'vitest'
import { withRecord } from '../../src/deployment/deployment-record.ts'
import { outsideChangeOf } from '../../src/history/foreign-changes.ts'
import type { HistoryEntry } from '../../src/history/history-entry.ts'
import { isNewOutsideChange } from '../../src/history/outside-change.ts'
import { templateFingerprint } from '../../src/history/template-fingerprint.ts'
import type { Service, ServiceSpec } from '../../src/swarm/service.ts'

const ROLLED_BACK = { verdict: 'rolled-back', previous: 'b' } as const
const RECORD = { versionIndex: 5, startedAt: '2026-01-01T00:00:00.000Z' }
const START = '2026-01-01T00:00:00.000Z'

function entry(
  versionIndex: number,
  image: string,
  more: Partial<HistoryEntry> = {},
): HistoryEntry {
  return { versionIndex, startedAt: START, resolved: image, forceUpdate: '0', ...more }
}

describe('a change that others seem to have made', () => {
  const change = entry(20, 'b', { kind: 'outside', template: 't' })

  test.each([
    ['another image', entry(10, 'a'), true],
    ['the same image', entry(10, 'b'), false],
    ['the same image with another counter', entry(10, 'b', { forceUpdate: '1' }), true],
    ['the same image with another template', entry(10, 'b', { template: 'u' }), true],
    ['the same image and template', entry(10, 'b', { template: 't' }), false],
    ['nothing that is known', { versionIndex: 10, startedAt: START }, false],
    ['a failed deployment over that image', entry(10, 'a', ROLLED_BACK), false],
    [
      'a failed deployment over another image',
      entry(10, 'a', { ...ROLLED_BACK, previous: 'c' }),
      true,
    ],
    [
      'a good deployment over that image',
      entry(10, 'a', { verdict: 'converged', previous: 'b' }),
      true,
    ],
  ] as const)('after %s', (_, known, expected) => {
    expect(isNewOutsideChange(change, [known])).toBe(expected)
  })

  test('is compared with its neighbours only', () => {
    expect(isNewOutsideChange(change, [entry(30, 'c'), entry(10, 'a'), entry(5, 'b')])).toBe(true)
    expect(isNewOutsideChange(change, [entry(40, 'c'), entry(30, 'b'), entry(10, 'a')])).toBe(false)
    expect(isNewOutsideChange(change, [entry(40, 'b'), entry(30, 'c'), entry(10, 'a')])).toBe(true)
  })

  test('begins a history only where the service shows that it was made', () => {
    expect(isNewOutsideChange(change, [])).toBe(false)
    expect(isNewOutsideChange({ ...change, previous: 'a' }, [])).toBe(true)
  })
})

describe('the write of another client', () => {
  const spec = (image: string, more: object = {}): ServiceSpec => ({
    Name: 'blog',
    Labels: { 'deployer.allowUpdates': 'true' },
    TaskTemplate: { ContainerSpec: { Image: image }, ...more },
  })
  const own = (image: string): ServiceSpec => withRecord(spec(image), RECORD, [])
  const service = (Spec: ServiceSpec, more: Partial<Service> = {}): Service => ({
    ...{ ID: 'x', Version: { Index: 21 }, Spec, UpdatedAt: START },
    ...more,
  })
  const changeOf = (one: Service): HistoryEntry | undefined => outsideChangeOf(one, 0)

  test('has image, counter and template, and the image before it', () => {
    expect(changeOf(service(spec('b'), { PreviousSpec: own('a') }))).toEqual({
      ...{ versionIndex: 20, startedAt: START, kind: 'outside', image: 'b', resolved: 'b' },
      ...{ previous: 'a', forceUpdate: '0', caller: '', template: templateFingerprint(spec('b')) },
    })
  })

  test.each([
    ['Deployer wrote the spec', service(own('b'))],
    ['updates are not allowed', service({ ...spec('b'), Labels: {} })],
    ['there is no container', service({ ...spec('b'), TaskTemplate: {} })],
    ['the engine rolls back', service(spec('b'), { UpdateStatus: { State: 'rollback_started' } })],
    [
      'the engine has rolled back',
      service(spec('b'), { UpdateStatus: { State: 'rollback_completed' } }),
    ],
    ['only labels of an own deployment changed', service(spec('b'), { PreviousSpec: own('b') })],
  ])('is none where %s', (_, one) => {
    expect(changeOf(one)).toBeUndefined()
  })

  test.each([
    ['the environment', spec('a', { ContainerSpec: { Image: 'a', Env: ['A=1'] } })],
    ['the counter', spec('a', { ForceUpdate: 1 })],
  ])('is one where %s changed', (_, Spec) => {
    expect(changeOf(service(Spec, { PreviousSpec: own('a') }))?.previous).toBe('a')
  })

  test('is one where the environment of an own deployment changed, and its record stayed', () => {
    const Spec = withRecord(spec('a', { ContainerSpec: { Image: 'a', Env: ['A=1'] } }), RECORD, [])
    expect(changeOf(service(Spec, { PreviousSpec: own('a') }))?.kind).toBe('outside')
    const other = { ...RECORD, versionIndex: 4 }
    expect(
      changeOf(service(Spec, { PreviousSpec: withRecord(spec('a'), other, []) })),
    ).toBeUndefined()
    expect(changeOf(service(Spec))).toBeUndefined()
  })

  test('may be one where nobody knows the spec before it', () => {
    const change = changeOf(service(spec('b')))
    expect([change?.image, change?.previous]).toEqual(['b', undefined])
    expect(changeOf(service(spec('b'), { PreviousSpec: spec('b') }))?.previous).toBeUndefined()
  })
})
