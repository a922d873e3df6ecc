import { expect, test } from 'vitest'
import { createEngineClock } from '../../../src/node/docker/engine-clock.ts'

const SECOND = Date.parse('2026-11-24T14:30:21Z')
const date = new Date(SECOND).toUTCString()

// Milliseconds from the second that the engine names; the clock says what ours would at 0.
test.each<[string, [sentMs: number, receivedMs: number][], number]>([
  ['has nothing to go by', [], 0],
  ['is within the second that the engine names', [[100, 200]], 0],
  ['is at the very beginning of it', [[0, 0]], 0],
  ['is at the very end of it', [[999, 999]], 0],
  ['is within it at one end of the exchange only', [[-500, 100]], 0],
  ['was within it at some moment between', [[-500, 1500]], 0],
  ['is behind', [[-3000, -2900]], 2900],
  ['is ahead', [[5000, 5200]], -4001],
  [
    'is behind, as a second answer tells more exactly',
    [
      [-3000, -2000],
      [-3000, -2900],
    ],
    2900,
  ],
  [
    'is behind, as no second answer contradicts',
    [
      [-3000, -2900],
      [-2500, -2400],
    ],
    2900,
  ],
  [
    'was set right in between',
    [
      [-3000, -2900],
      [100, 200],
    ],
    899,
  ],
])('our clock %s', (_, exchanges, expected) => {
  const clock = createEngineClock(() => SECOND)
  for (const [sentMs, receivedMs] of exchanges) {
    clock.observe({ date, sentMs: SECOND + sentMs, receivedMs: SECOND + receivedMs })
  }
  expect(clock.now() - SECOND).toBe(expected)
})

test.each([undefined, '', 'yesterday'])('an answer dated %j tells nothing', (nonsense) => {
  const clock = createEngineClock(() => SECOND)
  clock.observe({ date: nonsense, sentMs: 0, receivedMs: 0 })
  expect(clock.now()).toBe(SECOND)
})

test('it goes on as our clock does', () => {
  let now = SECOND
  const clock = createEngineClock(() => now)
  clock.observe({ date, sentMs: SECOND - 5000, receivedMs: SECOND - 5000 })
  now += 7000
  expect(clock.now()).toBe(SECOND + 12_000)
})

test('it is our own clock where nobody gives another', () => {
  expect(Math.abs(createEngineClock().now() - Date.now())).toBeLessThan(100)
})
