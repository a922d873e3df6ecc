import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  RECORD_LABEL,
  type RecordEntry,
  readRecord,
  withRecord,
  writerOf,
} from '../../src/deployment/deployment-record.ts'
import { endVerdicts } from '../../src/deployment/verdict.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'

const SPEC: ServiceSpec = {
  Name: 'blog',
  Labels: { other: 'kept' },
  TaskTemplate: { ContainerSpec: { Image: 'me/app:v1' } },
}

const AT = '2026-11-24T14:00:00.000Z'

function entry(versionIndex: number, more: Partial<RecordEntry> = {}): RecordEntry {
  return { versionIndex, startedAt: AT, ...more }
}

/** What stands in the record for what `SPEC` has. */
const WROTE = readRecord(withRecord(SPEC, entry(1), []))[0]?.wrote ?? ''

function labelled(text: string): ServiceSpec {
  return { ...SPEC, Labels: { [RECORD_LABEL]: text } }
}

const entries: fc.Arbitrary<RecordEntry> = fc
  .record({
    versionIndex: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    startedAt: fc
      .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString()),
    verdict: fc.constantFrom(undefined, ...endVerdicts),
    key: fc.constantFrom(undefined, `${'0a'.repeat(12)}.${'1b'.repeat(12)}`),
  })
  .map(({ verdict, key, ...rest }) => ({
    ...rest,
    ...(verdict === undefined ? {} : { verdict }),
    ...(key === undefined ? {} : { key }),
  }))

describe('the record', () => {
  test('is read as it was written, newest first, at most eight entries', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(entries, { selector: ({ versionIndex }) => versionIndex, minLength: 1 }),
        (all) => {
          const [newest, ...rest] = all.toSorted((a, b) => b.versionIndex - a.versionIndex)
          const spec = newest && withRecord(SPEC, newest, rest.toReversed())
          expect(spec && readRecord(spec)).toEqual(
            [{ ...newest, wrote: WROTE }, ...rest].slice(0, 8),
          )
        },
      ),
    )
  })

  test('keeps the rest of the spec, and does not mutate it', () => {
    const spec = Object.freeze({ ...SPEC, Labels: Object.freeze({ ...SPEC.Labels }) })
    const { Labels, ...rest } = withRecord(spec, entry(1), [])
    expect(Labels).toEqual({ other: 'kept', [RECORD_LABEL]: `1/${AT}///${WROTE}` })
    expect(rest).toEqual({ Name: SPEC.Name, TaskTemplate: SPEC.TaskTemplate })
    expect(withRecord({ ...SPEC, Labels: null }, entry(1), []).Labels).toEqual({
      [RECORD_LABEL]: `1/${AT}///${WROTE}`,
    })
  })

  test('grows with each write, and drops the oldest entry', () => {
    let spec = SPEC
    for (let index = 1; index <= 12; index += 1) {
      spec = withRecord(spec, entry(index), [])
    }
    expect(readRecord(spec).map(({ versionIndex }) => versionIndex)).toEqual([
      12, 11, 10, 9, 8, 7, 6, 5,
    ])
    expect(spec.Labels?.[RECORD_LABEL]?.length).toBeLessThan(1000)
  })

  test('adds a verdict and keeps the key, and keeps a verdict that is not passed again', () => {
    const first = withRecord(SPEC, entry(1, { key: 'a.b' }), [])
    const second = withRecord(first, entry(2), [entry(1, { verdict: 'converged' })])
    expect(readRecord(second)).toEqual([
      entry(2, { wrote: WROTE }),
      entry(1, { verdict: 'converged', key: 'a.b' }),
    ])
    const third = withRecord(second, entry(3), [entry(1)])
    expect(readRecord(third)[2]).toEqual(entry(1, { verdict: 'converged', key: 'a.b' }))
  })

  test('has one entry for each write, also when a write is tried again', () => {
    const first = withRecord(SPEC, entry(1, { verdict: 'failed' }), [])
    expect(readRecord(withRecord(first, entry(1), []))).toEqual([entry(1, { wrote: WROTE })])
  })

  test('has a writer only while the spec has the image and the ForceUpdate that it wrote', () => {
    const spec = withRecord(SPEC, entry(1), [])
    const { TaskTemplate } = spec
    expect(WROTE).toMatch(/^[0-9a-f]{8}$/)
    expect(writerOf({ ...spec, Name: 'renamed' })).toEqual(entry(1, { wrote: WROTE }))
    const others = [{ ContainerSpec: { Image: 'me/app:v9' } }, { ...TaskTemplate, ForceUpdate: 1 }]
    for (const other of others) {
      expect(writerOf({ ...spec, TaskTemplate: other })).toBeUndefined()
      expect(readRecord({ ...spec, TaskTemplate: other })).toHaveLength(1)
    }
    expect(writerOf(SPEC)).toBeUndefined()
  })

  test('distinguishes counters that are equal as JavaScript numbers', () => {
    const withForce = (ForceUpdate: bigint): ServiceSpec => ({
      ...SPEC,
      TaskTemplate: { ...SPEC.TaskTemplate, ForceUpdate },
    })
    const written = withRecord(withForce(17326312345678901n), entry(1), [])
    expect(writerOf(written)).toMatchObject(entry(1))
    const later = { ...written, TaskTemplate: withForce(17326312345678902n).TaskTemplate }
    expect(writerOf(later)).toBeUndefined()
  })

  test.each([
    [''],
    ['x'],
    [' '],
    ['1'],
    [`-1/${AT}//`],
    [`1.5/${AT}//`],
    [`1e3/${AT}//`],
    [`/${AT}//`],
    [`99999999999999999999/${AT}//`],
    ['1/yesterday//'],
    ['1///'],
    [`1/${AT}/pending/`],
    [`1/${AT}/accepted/`],
    [`1/${AT}/toString/`],
    [`1/${AT}//a/b/c`],
    [`1/${AT}//  2/${AT}//`],
    [`2/${AT}// garbage`],
  ])('that somebody garbled is none: %j', (text) => {
    expect(readRecord(labelled(text))).toEqual([])
  })

  test('is empty without the label, and reading never throws', () => {
    expect(readRecord(SPEC)).toEqual([])
    expect(readRecord({ ...SPEC, Labels: null })).toEqual([])
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(Array.isArray(readRecord(labelled(text)))).toBe(true)
      }),
    )
  })
})
