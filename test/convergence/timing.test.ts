// The times of the engine: delays of updates, and clocks of managers.

import { describe, expect, test } from 'vitest'
import { evidence } from '../../src/convergence/evidence.ts'
import { onLeadersClock } from '../../src/convergence/rollout.ts'
import { timingOf } from '../../src/convergence/timing.ts'
import type { UpdateConfig, WatchedSpec } from '../../src/swarm/engine-types.ts'
import { at, look, rollout, service, spec, task } from './swarm-states.ts'

const SECOND = 1e9

function delayed(config: UpdateConfig): WatchedSpec {
  return spec('new', { UpdateConfig: config, Mode: { Replicated: { Replicas: 1 } } })
}

describe('while the engine waits for its update delay', () => {
  const running = task('1 new running/running', { made: 2, since: 4 })
  const status = ['updating'] as const

  test.each<[string, UpdateConfig, number]>([
    ['a short delay: after the monitor period and a second', { Delay: 2 * SECOND }, 10],
    ['as long as the monitor period', { Delay: 5 * SECOND }, 11],
    ['a long delay, for which the engine monitors longer', { Delay: 10 * SECOND }, 16],
    ['a long monitor period', { Delay: 10 * SECOND, Monitor: 20 * SECOND }, 25],
  ])('tasks that run converge: %s', (_, config, seconds) => {
    const parts = { spec: delayed(config), status }
    expect(look(parts, [running], { now: seconds - 0.5 })).toMatchObject({
      ...{ state: 'pending', needsTasks: true, readAgainInMs: 500 },
    })
    const delay = (config.Delay ?? 0) / SECOND
    expect(look(parts, [running], { now: seconds })).toEqual({
      state: 'converged',
      message: `All tasks run; the engine reports the end after its update delay of ${delay} s`,
    })
  })

  test('the time of the managers counts, not that of the node', () => {
    const late = { ...running, UpdatedAt: at(8) }
    const parts = { spec: delayed({ Delay: 2 * SECOND }), status }
    expect(look(parts, [late], { now: 13.9 }).state).toBe('pending')
    expect(look(parts, [late], { now: 14 }).state).toBe('converged')
  })

  test.each([
    ['a slot has no task', []],
    ['a task starts', [task('1 new running/starting')]],
    ['an old task runs', [running, task('1 old running/running')]],
    ['the task failed', [task('1 new shutdown/failed', { since: 5 })]],
  ])('the rollout is pending while %s', (_, seen) => {
    const parts = { spec: delayed({ Delay: SECOND }), status }
    expect(look(parts, seen, { now: 60 })).toMatchObject({
      ...{ state: 'pending', needsTasks: true, readAgainInMs: 5000 },
    })
  })

  test('without a delay the engine reports the end', () => {
    expect(look({ spec: delayed({}), status }, [running], { now: 60 }).state).toBe('pending')
  })

  test('tasks are read from the start', () => {
    const parts = { spec: delayed({ Delay: SECOND }), status }
    expect(look(parts, undefined, { now: 1 })).toMatchObject({ needsTasks: true })
  })
})

test('the defaults are those of the engine', () => {
  expect(timingOf(spec('new'), undefined)).toEqual({
    ...{ monitorMs: 5000, longestMonitorMs: 5000, updateDelayMs: 0, restartDelayMs: 5000 },
  })
})

describe('a manager whose clock is ahead of that of the leader', () => {
  const ahead = { ...rollout, writtenAt: at(3) }
  const parts = { status: ['completed', 0.01, 9] } as const
  const failed = task('1 new shutdown/failed', { made: 0.1, since: 0.5 })

  test('does not hide the failures of the rollout', () => {
    expect(evidence(ahead, [failed])).toEqual([])
    const corrected = onLeadersClock(ahead, service(parts))
    expect(corrected.writtenAt).toBe(at(0.01))
    expect(evidence(corrected, [failed])).toHaveLength(1)
  })

  test.each([
    ['the status is of an earlier version', { ...parts, version: 10 }, ahead],
    ['the update started long before', { status: ['completed', -20, 9] } as const, ahead],
    ['the update started later', { status: ['completed', 4, 9] } as const, ahead],
    ['nothing was written', parts, { ...ahead, isObserved: true }],
    ['there is no status', {}, ahead],
  ])('is not assumed where %s', (_, shown, written) => {
    expect(onLeadersClock(written, service(shown))).toBe(written)
  })

  test('is taken into account by the judgement', () => {
    const seen = [
      failed,
      task('1 new running/running', { made: 0.6, since: 8 }),
      task('2 new running/running'),
    ]
    expect(look(parts, seen, { now: 10, written: ahead }).state).toBe('pending')
  })
})
