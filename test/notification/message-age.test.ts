import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isTooOld, type Moment } from '../../src/notification/message-age.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** The wall clock at the start, unless it is wrong. */
const WALL = Date.parse('2026-11-24T08:00:00Z')

/** A number of hours after the start; the wall clock is ahead by another number of hours. */
function at(hours: number, aheadHours = 0): Moment {
  const elapsed = hours * HOUR
  return { monotonicMs: 5000 + elapsed, wallMs: WALL + elapsed + aheadHours * HOUR }
}

describe('a message of this process', () => {
  test.each([
    ['after a day', at(24), false],
    ['after more than a day', at(24.001), true],
    ['when the clock jumped ahead by 30 years', at(1, 30 * 365 * 24), false],
    ['when the clock was set back by 30 years', at(24.001, -30 * 365 * 24), true],
  ])('%s', (_, now, expected) => {
    expect(isTooOld({ added: at(0), queuedAtMs: undefined, now }, DAY)).toBe(expected)
  })

  test('has the age of the monotonic clock, also when the wall clock jumps', () => {
    const moment = fc.record({
      monotonicMs: fc.nat({ max: 3 * DAY }),
      wallMs: fc.integer({ min: 0, max: 2 * WALL }),
    })
    fc.assert(
      fc.property(moment, moment, (added, now) => {
        const isOld = now.monotonicMs - added.monotonicMs > DAY
        expect(isTooOld({ added, queuedAtMs: undefined, now }, DAY)).toBe(isOld)
      }),
    )
  })
})

describe('a message of an earlier process', () => {
  const queuedAtMs = WALL - 25 * HOUR

  test.each<[string, { added?: Moment; now: Moment; queuedAtMs?: number }, boolean]>([
    ['that is a day old is retried for an hour', { now: at(1) }, false],
    ['that is a day old is given up after that', { now: at(1.001) }, true],
    ['that is younger is retried longer', { now: at(20), queuedAtMs: WALL - HOUR }, false],
    [
      'that is younger is retried for a day in total',
      { now: at(23.001), queuedAtMs: WALL - HOUR },
      true,
    ],
    [
      'that seems young because the clock was set back is retried for a day',
      { now: at(24), queuedAtMs: WALL + DAY },
      false,
    ],
    [
      'that seems young because the clock was set back is given up after that',
      { now: at(24.001), queuedAtMs: WALL + DAY },
      true,
    ],
    [
      'does not age by a jump ahead since the start',
      { now: at(2, 24), queuedAtMs: WALL - HOUR },
      false,
    ],
    [
      'does not age by a jump ahead before the start that was corrected since',
      { added: at(0, 24), now: at(2), queuedAtMs: WALL - HOUR },
      false,
    ],
    [
      'that seems old because the clock was behind when it was queued is retried for an hour',
      { now: at(1), queuedAtMs: 0 },
      false,
    ],
  ])('%s', (_, age, expected) => {
    expect(isTooOld({ added: at(0), queuedAtMs, ...age }, DAY)).toBe(expected)
  })

  test('is never given up in its first hour, and always after a day, also when the wall clock jumps', () => {
    const wall = fc.integer({ min: 0, max: 2 * WALL })
    fc.assert(
      fc.property(wall, wall, wall, fc.nat({ max: 3 * DAY }), (queued, start, end, tried) => {
        const isOld = isTooOld(
          {
            added: { monotonicMs: 7, wallMs: start },
            queuedAtMs: queued,
            now: { monotonicMs: 7 + tried, wallMs: end },
          },
          DAY,
        )
        expect(isOld).toBe(tried > DAY ? true : tried <= HOUR ? false : isOld)
      }),
    )
  })
})
