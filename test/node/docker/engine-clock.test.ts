import { expect, test } from 'vitest'
import { createEngineClock } from '../../../src/node/docker/engine-clock.ts'

const SECOND = Date.parse('2026-11-24T14:30:21Z')
const date = new Date(SECOND).toUTCString()

// Times in milliseconds relative to the second of the `Date` header; the local clock is at 0.
test.each<[string, [sentMs: number, receivedMs: number][], number]>([
  ['unknown before the first response', [], 0],
  ['within the second of the header', [[100, 200]], 0],
  ['at the beginning of the second', [[0, 0]], 0],
  ['at the end of the second', [[999, 999]], 0],
  [
    'within the second when the response was received, but not when the request was sent',
    [[-500, 100]],
    0,
  ],
  ['within the second at some time between request and response', [[-500, 1500]], 0],
  ['behind', [[-3000, -2900]], 2900],
  ['ahead', [[5000, 5200]], -4001],
  [
    'behind, with a second response that is more exact',
    [
      [-3000, -2000],
      [-3000, -2900],
    ],
    2900,
  ],
  [
    'behind, with a second response that does not contradict the first',
    [
      [-3000, -2900],
      [-2500, -2400],
    ],
    2900,
  ],
  [
    'corrected between two responses',
    [
      [-3000, -2900],
      [100, 200],
    ],
    899,
  ],
])('the local clock is %s', (_, responses, expected) => {
  const clock = createEngineClock(() => SECOND)
  for (const [sentMs, receivedMs] of responses) {
    clock.observe({ date, sentMs: SECOND + sentMs, receivedMs: SECOND + receivedMs })
  }
  expect(clock.now() - SECOND).toBe(expected)
})

test.each([undefined, '', 'yesterday'])('the date %j is ignored', (invalid) => {
  const clock = createEngineClock(() => SECOND)
  clock.observe({ date: invalid, sentMs: 0, receivedMs: 0 })
  expect(clock.now()).toBe(SECOND)
})

test('it advances with the local clock', () => {
  let now = SECOND
  const clock = createEngineClock(() => now)
  clock.observe({ date, sentMs: SECOND - 5000, receivedMs: SECOND - 5000 })
  now += 7000
  expect(clock.now()).toBe(SECOND + 12_000)
})

test('the default local clock is Date.now', () => {
  const before = Date.now()
  const now = createEngineClock().now()
  expect(now).toBeGreaterThanOrEqual(before)
  expect(now).toBeLessThanOrEqual(Date.now())
})
