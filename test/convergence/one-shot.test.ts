// Services whose tasks end by themselves and are not started again.

import { describe, expect, test } from 'vitest'
import { judge } from '../../src/convergence/judge.ts'
import type { Convergence } from '../../src/convergence/state.ts'
import type { Task, WatchedSpec } from '../../src/swarm/engine-types.ts'
import { look, rollout, type ServiceParts, service, spec, task, WRITE } from './swarm-states.ts'

function once(image: string, replicas = 1, condition = 'none'): WatchedSpec {
  const { TaskTemplate } = spec(image)
  return {
    TaskTemplate: { ...TaskTemplate, RestartPolicy: { Condition: condition } },
    Mode: { Replicated: { Replicas: replicas } },
  }
}

const finished = task('1 new shutdown/complete', { since: 4, exitCode: 0 })
const finishedBefore = task('1 old shutdown/complete', { exitCode: 0 })
const previous = once('old')

describe('a task that ended with exit code 0', () => {
  test.each<[string, ServiceParts, readonly Task[], Convergence['state']]>([
    [
      'is a success, though the engine has paused the update because of it',
      { spec: once('new'), previous, status: ['paused'] },
      [finishedBefore, finished],
      'converged',
    ],
    [
      'is a success, as the engine says too',
      { spec: once('new'), previous, status: ['completed', 0, 9] },
      [finishedBefore, finished],
      'converged',
    ],
    [
      'is a success with the restart condition on-failure',
      { spec: once('new', 1, 'on-failure'), previous, status: ['paused'] },
      [finishedBefore, finished],
      'converged',
    ],
    [
      'is a success after tasks that failed',
      { spec: once('new'), previous, status: ['completed', 0, 9] },
      [
        task('1 old shutdown/complete', { made: -2000, exitCode: 0 }),
        task('1 old shutdown/failed', { exitCode: 1 }),
        finished,
      ],
      'converged',
    ],
    [
      'is a success of a service that never had another spec',
      { spec: once('new'), status: ['completed', 0, 9] },
      [finished],
      'converged',
    ],
    [
      'is a failure with the restart condition any',
      { spec: once('new', 1, 'any'), previous, status: ['completed', 0, 9] },
      [finishedBefore, finished],
      'failed',
    ],
    [
      'is a failure where the task before was stopped',
      { spec: once('new', 1, 'on-failure'), previous, status: ['completed', 0, 9] },
      [task('1 old shutdown/shutdown'), finished],
      'failed',
    ],
    [
      'is a failure where the update is paused and the task before was stopped',
      { spec: once('new'), previous, status: ['paused'] },
      [task('1 old shutdown/shutdown'), finished],
      'paused',
    ],
    [
      'is a failure where the engine has forgotten the tasks before',
      { spec: once('new'), previous, status: ['completed', 0, 9] },
      [finished],
      'failed',
    ],
    [
      'is no success while a new task is on its way',
      { spec: once('new'), previous },
      [finishedBefore, finished, task('1 new running/starting', { made: 6 })],
      'pending',
    ],
    [
      'is a success of the previous spec after a rollback',
      { spec: once('old'), status: ['rollback_completed', 0, 9] },
      [finishedBefore, finished, task('1 old shutdown/complete', { made: 9, exitCode: 0 })],
      'rolled-back',
    ],
  ])('%s', (_, parts, seen, state) => {
    expect(look(parts, seen).state).toBe(state)
  })

  test('of a paused update counts only when all slots have the new spec', () => {
    const parts: ServiceParts = { spec: once('new', 2), previous, status: ['paused'] }
    const second = { made: 3, since: 6 }
    const states = [
      task('2 old shutdown/complete', { exitCode: 0 }),
      task('2 new running/running', second),
      task('2 new shutdown/complete', { ...second, since: 7, exitCode: 0 }),
      task('2 new shutdown/failed', { ...second, exitCode: 1 }),
    ].map((other) => look(parts, [finishedBefore, finished, other], { now: 7 }).state)
    expect(states).toEqual(['paused', 'pending', 'converged', 'paused'])
  })

  test('needs the tasks when the update is paused', () => {
    expect(look({ spec: once('new'), status: ['paused'] }, undefined)).toMatchObject({
      ...{ state: 'pending', needsTasks: true },
    })
    expect(look({ spec: once('new', 1, 'any'), status: ['paused'] }, undefined).state).toBe(
      'paused',
    )
  })
})

describe('a task that failed, and that nothing restarts', () => {
  const failed = [task('1 new shutdown/failed', { made: -50, exitCode: 3 })]
  const observed = { ...rollout, previous: 'new', isObserved: true }
  const state = { tasks: failed, nodes: undefined, now: WRITE + 12_000 }

  test('fails an observation, though it failed before', () => {
    const current = service({ spec: once('new'), status: ['completed', -60, -55] })
    expect(judge(observed, { ...state, service: current }).state).toBe('failed')
  })

  test('does not fail a rollout that was written after it', () => {
    const current = service({ spec: once('new') })
    expect(judge(rollout, { ...state, service: current }).state).toBe('pending')
  })

  test('does not fail an observation whose slots all have another task', () => {
    const parts: ServiceParts = { spec: once('new') }
    const other = task('2 new running/starting')
    const seen = { ...state, tasks: [...failed, other] }
    expect(judge(observed, { ...seen, service: service(parts) }).state).toBe('pending')
  })
})
