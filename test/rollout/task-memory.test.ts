import { describe, expect, test } from 'vitest'
import { createTaskMemory } from '../../src/rollout/task-memory.ts'
import type { Task } from '../../src/swarm/engine-types.ts'
import { task } from '../convergence/swarm-states.ts'

/** What a memory recalls of several readings. */
function recall(...readings: readonly (readonly Task[])[]): readonly Task[] {
  const memory = createTaskMemory()
  let recalled: readonly Task[] = []
  for (const tasks of readings) {
    recalled = memory.recall(tasks)
  }
  return recalled
}

const running = task('1 new running/running', { made: 1 })
const failed = task('1 new shutdown/failed', { made: 2, exitCode: 1 })
const next = task('1 new ready/ready', { made: 8 })

describe('a memory of tasks', () => {
  test('has the failed tasks that the swarm does not list any more', () => {
    expect(recall([failed, next], [next], [next])).toEqual([next, failed])
  })

  test('has a task that was to run and that another one of its spec has replaced, as failed', () => {
    expect(recall([running], [next])).toEqual([
      next,
      {
        ...running,
        DesiredState: 'shutdown',
        UpdatedAt: next.CreatedAt,
        Status: {
          State: 'failed',
          Timestamp: next.CreatedAt,
          Err: 'The swarm has replaced this task, and does not list it any more',
        },
      },
    ])
  })

  test.each([
    ['that another spec has replaced', [running], [task('1 newer running/running', { made: 8 })]],
    ['that was to stop', [task('1 new shutdown/running', { made: 1 })], [next]],
    ['of a slot that was removed', [running], [task('2 new running/running', { made: 8 })]],
    [
      'of a global service',
      [task('- new running/running', { made: 1 })],
      [task('- new ready/ready', { made: 8 })],
    ],
    ['of a job', [task('1 new complete/failed', { iteration: 1 })], [next]],
  ])('has no task %s', (_, before, after) => {
    expect(recall(before, after)).toBe(after)
  })

  test('has the newest five tasks of a slot', () => {
    const readings = Array.from({ length: 9 }, (_, n) => [
      task('1 new running/running', { made: n }),
    ])
    const recalled = recall(...readings)
    expect(recalled.map(({ CreatedAt }) => CreatedAt)).toEqual(
      readings
        .flat()
        .slice(-5)
        .reverse()
        .map(({ CreatedAt }) => CreatedAt),
    )
  })

  test('of the same reading is the same', () => {
    const memory = createTaskMemory()
    memory.recall([failed])
    const reading = [next]
    expect(memory.recall(reading)).toBe(memory.recall(reading))
  })
})
