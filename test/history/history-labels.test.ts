// Histories as labels: read as they were written, within their limits.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { endVerdicts } from '../../src/deployment/verdict.ts'
import type { HistoryEntry } from '../../src/history/history-entry.ts'
import { readEntries, withNotes } from '../../src/history/history-labels.ts'
import { mergeAll, mergeEntries } from '../../src/history/merge-entries.ts'
import { byteLength } from '../../src/text/bytes.ts'

const START = Date.parse('2026-11-24T14:00:00.000Z')

function entry(versionIndex: number, more: Partial<HistoryEntry> = {}): HistoryEntry {
  return { versionIndex, startedAt: new Date(START + versionIndex).toISOString(), ...more }
}

const text = fc.string({ unit: 'grapheme', maxLength: 300 })
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined })
const entries: fc.Arbitrary<HistoryEntry> = fc
  .record({
    versionIndex: fc.nat({ max: 200 }),
    verdict: optional(fc.constantFrom(...endVerdicts)),
    kind: optional(fc.constantFrom('deploy' as const, 'outside' as const)),
    image: optional(text),
    resolved: optional(fc.string({ maxLength: 250 })),
    previous: optional(text),
    forceUpdate: optional(fc.constantFrom('0', '17326312345678901')),
    caller: optional(text),
    error: optional(fc.string({ unit: 'binary', maxLength: 1024 })),
    commit: optional(text),
    run: optional(text),
  })
  .map(({ versionIndex, ...rest }) =>
    entry(
      versionIndex,
      Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    ),
  )

describe('a history', () => {
  test('is read as it was written', () => {
    const all = [
      entry(20, {
        image: 'me/app:v2',
        resolved: 'me/app:v2@sha256:1',
        kind: 'deploy',
        caller: 'ci',
      }),
      entry(10, { verdict: 'failed', endedAt: '2026-11-24T14:01:00.000Z', error: 'exit code 1' }),
      entry(5, { kind: 'outside', forceUpdate: '17326312345678901', template: 'abc', key: 'a.b' }),
    ]
    const labels = withNotes({}, { service: 'blog', entries: all.toReversed() }, 10)
    expect(readEntries(labels)).toEqual(all)
    expect([labels['deployer.service'], labels['deployer.format']]).toEqual(['blog', '1'])
  })

  test('stays within its limits, keeps the newest entries, and the newest that converged', () => {
    fc.assert(
      fc.property(
        fc.array(entries, { maxLength: 120 }),
        fc.integer({ min: 1, max: 50 }),
        (all, max) => {
          const labels = withNotes({}, { service: 'blog', entries: all }, max)
          const values = Object.entries(labels).filter(([name]) => name.includes('.deployment.'))
          expect(values.length).toBeLessThanOrEqual(max)
          for (const [, value] of values) {
            expect(byteLength(value)).toBeLessThanOrEqual(700)
          }
          expect(byteLength(JSON.stringify(labels))).toBeLessThan(40 * 1024)
          const kept = readEntries(labels).map(({ versionIndex }) => versionIndex)
          const merged = mergeAll(all, [])
          const converged = merged.find(({ verdict }) => verdict === 'converged')
          expect(converged === undefined || kept.includes(converged.versionIndex)).toBe(true)
          const newest = merged[0]?.versionIndex
          expect(max === 1 || newest === undefined || kept.includes(newest)).toBe(true)
        },
      ),
    )
  })

  test('has at most 36 KiB of entries', () => {
    const all = Array.from({ length: 60 }, (_, index) => entry(index, { error: 'x'.repeat(1024) }))
    const labels = withNotes({}, { service: 'blog', entries: all }, 60)
    const bytes = Object.entries(labels).map(([name, value]) => byteLength(name + value))
    expect(bytes.reduce((sum, one) => sum + one, 0)).toBeLessThan(37 * 1024)
    expect(readEntries(labels).length).toBeGreaterThan(45)
    expect(readEntries(labels)[0]?.versionIndex).toBe(59)
  })

  test('keeps labels and members that other versions wrote', () => {
    const labels = {
      ...withNotes({}, { service: 'blog', entries: [entry(1)] }, 10),
      'deployer.later': 'kept',
      [`deployer.deployment.1-${(START + 1).toString(36)}`]: '{"later":[1],"image":"me/app:v2"}',
    }
    const next = withNotes(labels, { service: 'blog', entries: [entry(1, { caller: 'ci' })] }, 10)
    expect(next['deployer.later']).toBe('kept')
    const [value = ''] = Object.entries(next).flatMap(([name, one]) =>
      name.includes('.deployment.') ? [one] : [],
    )
    expect(JSON.parse(value)).toEqual({ later: [1], image: 'me/app:v2', caller: 'ci' })
  })

  test('ignores labels that are invalid, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, value) => {
        const labels = { [`deployer.deployment.${name}`]: value, [name]: value }
        expect(readEntries(labels).length).toBeLessThanOrEqual(1)
      }),
    )
    const labels = { 'deployer.deployment.1-zzzzzzzzzzz': '{}', 'deployer.deployment.x-1': '{}' }
    expect(readEntries(labels)).toEqual([])
  })

  test('notes the first time at which its service was found to be removed', () => {
    const first = withNotes({}, { service: 'blog', entries: [], removedAt: 'then' }, 10)
    const second = withNotes(first, { service: 'blog', entries: [], removedAt: 'later' }, 10)
    expect(second['deployer.removedAt']).toBe('then')
  })
})

describe('merged entries', () => {
  test('have all members, and an absent one erases nothing', () => {
    const one = entry(1, { image: 'me/app:v2', caller: 'ci' })
    const other = entry(1, { resolved: 'me/app:v2@sha256:1', verdict: 'converged', endedAt: 'now' })
    expect(mergeEntries(one, other)).toEqual({ ...one, ...other })
    expect(mergeEntries(other, one)).toEqual({ ...one, ...other })
  })

  test.each([
    ['converged', 'failed', 'converged'],
    ['failed', 'superseded', 'failed'],
    ['superseded', 'converged', 'converged'],
    ['unknown', 'superseded', 'superseded'],
    ['unknown', 'rolled-back', 'rolled-back'],
    ['superseded', 'unknown', 'superseded'],
  ] as const)('of %s and then %s have %s', (stored, noted, verdict) => {
    const merged = mergeEntries(
      entry(1, { verdict: stored, endedAt: stored, error: stored }),
      entry(1, { verdict: noted, endedAt: noted, error: noted }),
    )
    expect(merged).toEqual(entry(1, { verdict, endedAt: verdict, error: verdict }))
  })

  test('do not change when the same is merged again', () => {
    fc.assert(
      fc.property(fc.array(entries, { maxLength: 20 }), (all) => {
        const merged = mergeAll(all, [])
        expect(mergeAll(merged, merged)).toEqual(merged)
        expect(mergeAll(merged, all)).toEqual(merged)
      }),
    )
  })
})
