// The verdict by table: what the engine shows, and what is made of it.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evidence } from '../../src/convergence/evidence.ts'
import { judge } from '../../src/convergence/judge.ts'
import type { Convergence, ObservedState } from '../../src/convergence/state.ts'
import type { Node, ServiceMode, Task } from '../../src/swarm/engine-types.ts'
import {
  at,
  bothOldRun,
  bothRun,
  look,
  rollout,
  type ServiceParts,
  service,
  spec,
  type TaskParts,
  task,
  tasks,
  WRITE,
} from './swarm-states.ts'

describe('a judgement without tasks', () => {
  test.each<[string, ServiceParts, Partial<Convergence> & { needsTasks?: boolean }]>([
    ['the status is updating', { status: ['updating'] }, { state: 'pending', needsTasks: false }],
    ['the status is paused', { status: ['paused'] }, { state: 'paused' }],
    [
      'the status is completed',
      { status: ['completed', 0, 9] },
      { state: 'pending', needsTasks: true },
    ],
    ['there is no status', {}, { state: 'pending', needsTasks: true }],
    ['the status is unknown', { status: ['frozen'] }, { state: 'pending', needsTasks: true }],
    [
      'rolls a later update back to ours',
      { status: ['rollback_started'] },
      { state: 'pending', needsTasks: false },
    ],
    ['the rollback to this update is paused', { status: ['rollback_paused'] }, { state: 'failed' }],
    [
      'wants no tasks',
      { spec: spec('new', { Mode: { Replicated: { Replicas: 0 } } }) },
      { state: 'converged' },
    ],
    [
      'wants no completions',
      {
        spec: spec('new', { Mode: { ReplicatedJob: { MaxConcurrent: 0 } } }),
        iteration: 1,
      },
      { state: 'converged' },
    ],
    [
      'is rolled back by the engine',
      { spec: spec('old'), status: ['rollback_started'] },
      { state: 'pending', needsTasks: false },
    ],
    [
      'was rolled back by the engine',
      { spec: spec('old'), status: ['rollback_completed', 0, 14] },
      { state: 'pending', needsTasks: true },
    ],
    [
      'could not be rolled back',
      { spec: spec('old'), status: ['rollback_paused'] },
      { state: 'pending', needsTasks: true },
    ],
    [
      'is rolled back by hand',
      { spec: spec('old'), previous: spec('new'), status: ['rollback_started', 5] },
      { state: 'superseded' },
    ],
    [
      'was rolled back by hand',
      { spec: spec('old'), previous: spec('new'), status: ['rollback_completed', 5, 9] },
      { state: 'superseded' },
    ],
    [
      'was written with another image',
      { spec: spec('newer'), previous: spec('new') },
      { state: 'superseded' },
    ],
    [
      'was written with the old image',
      { spec: spec('old'), previous: spec('new') },
      { state: 'superseded' },
    ],
    [
      'was written with another image that runs by now',
      { spec: spec('newer'), previous: spec('new'), status: ['completed', 5, 9] },
      { state: 'superseded' },
    ],
    [
      'was restarted by force',
      { spec: spec('new', { force: 1 }), previous: spec('new') },
      { state: 'superseded' },
    ],
    [
      'runs no container any more',
      { spec: { TaskTemplate: {}, Mode: { Global: {} } } },
      { state: 'superseded' },
    ],
  ])('%s', (_, parts, expected) => {
    expect(look(parts, undefined)).toMatchObject(expected)
  })

  test.each<[string, ServiceParts]>([
    ['with its old spec', { spec: spec('old') }],
    ['with the same image, paused', { spec: spec('new'), status: ['paused', -60] }],
    ['with the same image, completed', { spec: spec('new'), status: ['completed', -60, -50] }],
    ['rolled back', { spec: spec('old'), status: ['rollback_completed', -60, -50] }],
  ])('a snapshot from before the write decides nothing: %s', (_, parts) => {
    const before = look({ ...parts, version: 10 }, bothRun, { now: 1 })
    expect(before).toMatchObject({ state: 'pending', needsTasks: false, readAgainInMs: 1000 })
  })

  test.each([
    [0.02, { needsTasks: false, readAgainInMs: 980 }],
    [1, { needsTasks: true }],
    // The engine's clock is ahead: nothing is known, and so the tasks are asked.
    [-30, { needsTasks: true }],
  ])(
    'in the first second the engine may not have started the rollout: after %d s',
    (now, expected) => {
      expect(look({}, undefined, { now })).toMatchObject({ state: 'pending', ...expected })
    },
  )

  test('the tasks of a job are needed immediately, whatever its status is', () => {
    const job: ServiceParts = {
      spec: spec('new', { Mode: { ReplicatedJob: {} } }),
      iteration: 1,
      status: ['rollback_started'],
    }
    expect(look(job, undefined, { now: 0.02 })).toMatchObject({ needsTasks: true })
  })

  test('the message is that of the engine', () => {
    expect(look({ status: ['updating'] }, undefined)).toMatchObject({ message: 'engine: updating' })
    expect(look({ status: ['paused'] }, undefined)).toMatchObject({ message: 'engine: paused' })
  })
})

/** `engine-facts.md`: `UpdateStatus` over time, 2 replicas, an image that exits 1 after a second. */
describe('each sequence of states of a rollout', () => {
  type Step = readonly [
    seconds: number,
    parts: ServiceParts,
    seen: readonly Task[],
    state: Convergence['state'],
  ]
  const failing = (slot: number, made: number): Task =>
    task(`${slot} new shutdown/failed`, { made, since: made + 1 })
  const backTo = (status: ServiceParts['status']): ServiceParts => ({
    spec: spec('old'),
    ...(status && { status }),
  })
  const startedAt =
    (seconds: number) =>
    (one: Task): Task => ({ ...one, UpdatedAt: at(seconds), Status: { State: 'running' } })
  const backRuns = [
    task('1 old running/running'),
    task('2 old running/running', { made: 8, since: 9 }),
  ]

  test.each<[string, readonly Step[]]>([
    [
      'rollback, stop-first',
      [
        [0.1, { status: ['updating'] }, bothOldRun, 'pending'],
        [7.1, backTo(['rollback_started']), [failing(2, 1), ...bothOldRun], 'pending'],
        [14, backTo(['rollback_completed', 0, 13.9]), [failing(2, 1), ...backRuns], 'rolled-back'],
      ],
    ],
    [
      'rollback, start-first: the old tasks begin to stop, and run again',
      [
        [1, { status: ['updating'] }, bothOldRun, 'pending'],
        [
          1.4,
          backTo(['rollback_started']),
          [failing(1, 0), ...tasks('1 old shutdown/running', '1 old ready/pending')],
          'pending',
        ],
        [
          10,
          backTo(['rollback_completed', 0, 10]),
          [
            failing(1, 0),
            task('1 old running/running', { made: 1, since: 4.9 }),
            task('2 old running/running'),
          ],
          'rolled-back',
        ],
      ],
    ],
    [
      'completed, and a task has started within the monitor period before: it replaces one that is forgotten',
      [
        [9, { status: ['completed', 0, 9] }, bothRun.map(startedAt(6.9)), 'converged'],
        [9, { status: ['completed', 0, 9] }, bothRun.map(startedAt(7.1)), 'pending'],
        [9.1, { status: ['completed', 0, 9] }, bothRun.map(startedAt(7.1)), 'converged'],
      ],
    ],
    [
      'rollback, parallelism 0: said before the old tasks run again',
      [
        [6, backTo(['rollback_started']), [failing(1, 3), failing(2, 3)], 'pending'],
        [
          8,
          backTo(['rollback_completed', 0, 8]),
          [failing(1, 3), failing(2, 3), ...tasks('1 old ready/ready', '2 old ready/ready')],
          'pending',
        ],
        [
          10,
          backTo(['rollback_completed', 0, 8]),
          [
            failing(1, 3),
            failing(2, 3),
            task('1 old running/running', { made: 8, since: 9.9 }),
            task('2 old running/starting', { made: 8 }),
          ],
          'pending',
        ],
        [
          13,
          backTo(['rollback_completed', 0, 8]),
          [
            failing(1, 3),
            task('1 old running/running', { made: 8, since: 9.9 }),
            task('2 old running/running', { made: 8, since: 12.9 }),
          ],
          'pending',
        ],
        [
          17.9,
          backTo(['rollback_completed', 0, 8]),
          [
            failing(1, 3),
            task('1 old running/running', { made: 8, since: 9.9 }),
            task('2 old running/running', { made: 8, since: 12.9 }),
          ],
          'rolled-back',
        ],
      ],
    ],
    [
      'rollback, completed without monitoring, and the old image fails too',
      [
        [
          8.1,
          backTo(['rollback_completed', 0, 8]),
          [
            failing(1, 3),
            task('1 old ready/ready', { made: 8 }),
            ...tasks('2 old running/running'),
          ],
          'pending',
        ],
        [
          9.9,
          backTo(['rollback_completed', 0, 8]),
          [
            failing(1, 3),
            task('1 old running/running', { made: 8, since: 9.2 }),
            ...tasks('2 old running/running'),
          ],
          'pending',
        ],
        [
          10.1,
          backTo(['rollback_completed', 0, 8]),
          [
            failing(1, 3),
            task('1 old shutdown/failed', { made: 8, since: 10 }),
            task('1 old ready/ready', { made: 10 }),
            ...tasks('2 old running/running'),
          ],
          'failed',
        ],
      ],
    ],
    [
      'pause: the bad tasks go on restarting',
      [
        [7.2, { status: ['updating'] }, [failing(1, 4), ...bothOldRun], 'pending'],
        [7.3, { status: ['paused'] }, [failing(1, 4), task('1 new ready/ready')], 'paused'],
        [9, { status: ['paused'] }, [failing(1, 4), task('1 new running/running')], 'paused'],
      ],
    ],
    [
      'continue: completed, and every task fails for ever',
      [
        [
          11.8,
          { status: ['updating'] },
          [failing(1, 4), failing(2, 9), ...tasks('1 new running/running', '2 new ready/ready')],
          'pending',
        ],
        [
          11.9,
          { status: ['completed', 0, 11.9] },
          [failing(1, 4), failing(2, 9), ...tasks('1 new running/running', '2 new ready/ready')],
          'pending',
        ],
        [
          12.5,
          { status: ['completed', 0, 11.9] },
          [
            failing(1, 4),
            failing(2, 9),
            task('1 new running/running', { made: 10, since: 11 }),
            task('2 new running/running', { made: 10, since: 12.4 }),
          ],
          'pending',
        ],
        [
          14,
          { status: ['completed', 0, 11.9] },
          [
            failing(1, 4),
            failing(2, 9),
            task('1 new running/running', { made: 10, since: 11 }),
            task('2 new shutdown/failed', { made: 10, since: 13.4 }),
            task('2 new ready/ready', { made: 13.5 }),
          ],
          'failed',
        ],
      ],
    ],
    [
      'continue: completed, and the replacement of a task that failed once runs',
      [
        [
          12,
          { status: ['completed', 0, 11.9] },
          [failing(1, 9), ...tasks('1 new ready/ready', '2 new running/running')],
          'pending',
        ],
        [
          16,
          { status: ['completed', 0, 11.9] },
          [
            failing(1, 9),
            task('1 new running/running', { made: 10, since: 15.5 }),
            ...tasks('2 new running/running'),
          ],
          'pending',
        ],
        [
          17.5,
          { status: ['completed', 0, 11.9] },
          [
            failing(1, 9),
            task('1 new running/running', { made: 10, since: 15.5 }),
            ...tasks('2 new running/running'),
          ],
          'converged',
        ],
      ],
    ],
    [
      'continue: the replacement of a task that failed does not run by the end of restart delay and monitor',
      [
        [
          18.9,
          { status: ['completed', 0, 11.9] },
          [failing(1, 9), ...tasks('1 new running/starting', '2 new running/running')],
          'pending',
        ],
        [
          19,
          { status: ['completed', 0, 11.9] },
          [failing(1, 9), ...tasks('1 new running/starting', '2 new running/running')],
          'failed',
        ],
        [
          30,
          { status: ['completed', 0, 11.9] },
          [
            failing(1, 9),
            task('1 new running/running', { made: 10, since: 19.1 }),
            ...tasks('2 new running/running'),
          ],
          'failed',
        ],
      ],
    ],
    [
      'rollback to an image that fails too',
      [
        [7, backTo(['rollback_started']), [failing(1, 4)], 'pending'],
        [9, backTo(['rollback_paused']), [failing(1, 4), task('1 old ready/ready')], 'failed'],
      ],
    ],
    [
      'rollback, failure action continue, to an image that fails too',
      [
        [
          14.2,
          backTo(['rollback_completed', 0, 14]),
          [
            failing(1, 4),
            task('1 old shutdown/failed', { made: 8, since: 14.1 }),
            ...tasks('1 old ready/ready', '2 old running/running'),
          ],
          'failed',
        ],
      ],
    ],
    [
      'a health check that never passes, pause',
      [
        [
          4,
          { status: ['updating'] },
          tasks('1 new running/starting', '2 old running/running'),
          'pending',
        ],
        [
          9.4,
          { status: ['paused'] },
          tasks('1 new shutdown/complete', '1 new ready/pending', '2 old running/running'),
          'paused',
        ],
      ],
    ],
    [
      'a health check that never passes, continue',
      [
        [
          9.3,
          { status: ['completed', 0, 9.2] },
          [
            ...tasks('1 new shutdown/complete', '2 new shutdown/complete'),
            ...tasks('1 new running/starting', '2 new running/starting'),
          ],
          'pending',
        ],
        [
          16.3,
          { status: ['completed', 0, 9.2] },
          [
            ...tasks('1 new shutdown/complete', '2 new shutdown/complete'),
            ...tasks('1 new running/starting', '2 new running/starting'),
          ],
          'failed',
        ],
      ],
    ],
    [
      'good, stop-first',
      [
        [0.1, {}, bothOldRun, 'pending'],
        [0.2, { status: ['updating'] }, bothOldRun, 'pending'],
        [8.9, { status: ['updating'] }, bothRun, 'pending'],
        [9, { status: ['completed', 0, 9] }, bothRun, 'converged'],
      ],
    ],
    [
      'good, start-first: the old tasks may take their time to stop',
      [
        [1, { status: ['updating'] }, [...bothOldRun, task('2 new running/starting')], 'pending'],
        [
          4.1,
          { status: ['completed', 0, 4.1] },
          [...tasks('1 old shutdown/running', '2 old shutdown/running'), ...bothRun],
          'converged',
        ],
      ],
    ],
    [
      'a constraint that no node meets',
      [
        [3, { status: ['updating'] }, [task('1 new ready/pending', { error: 'x' })], 'pending'],
        [
          9000,
          { status: ['updating'] },
          [task('1 new running/pending', { error: 'x' })],
          'pending',
        ],
      ],
    ],
    [
      'a foreign change of a label in the middle of a good rollout',
      [
        [3, { status: ['updating'] }, bothRun, 'pending'],
        [3.9, { previous: spec('new') }, bothRun, 'pending'],
        [4, { previous: spec('new') }, bothRun, 'converged'],
      ],
    ],
    [
      'a foreign change of a label in the middle of a bad rollout: nobody acts any more',
      [
        [4, { status: ['updating'] }, tasks('1 new running/running'), 'pending'],
        [6, {}, [failing(1, 3), ...tasks('1 new ready/ready', '2 new running/running')], 'pending'],
        [
          9,
          {},
          [
            failing(1, 3),
            failing(1, 5),
            task('1 new running/running', { made: 7, since: 8 }),
            task('2 new running/running'),
          ],
          'pending',
        ],
        [
          11,
          {},
          [failing(1, 3), failing(1, 5), failing(1, 7), task('1 new running/running')],
          'failed',
        ],
      ],
    ],
    [
      'a foreign change of a label in the middle of a rollback',
      [
        [8.9, backTo(['rollback_started']), [failing(1, 4)], 'pending'],
        [
          9.3,
          { spec: spec('old'), previous: spec('old') },
          [failing(1, 4), ...tasks('1 old ready/ready', '2 old running/running')],
          'pending',
        ],
        [
          12.7,
          { spec: spec('old'), previous: spec('old') },
          [failing(1, 4), ...backRuns],
          'pending',
        ],
        [
          15,
          { spec: spec('old'), previous: spec('old') },
          [failing(1, 4), ...backRuns],
          'rolled-back',
        ],
      ],
    ],
  ])('%s', (_, steps) => {
    const states = steps.map(([now, parts, seen]) => look(monitored(parts), seen, { now }).state)
    expect(states).toEqual(steps.map(([, , , state]) => state))
  })

  function monitored(parts: ServiceParts): ServiceParts {
    return { ...parts, spec: { ...(parts.spec ?? spec('new')), UpdateConfig: { Monitor: 2e9 } } }
  }
})

describe('slots, once the engine reports completed', () => {
  const ended = (parts: ServiceParts = {}): ServiceParts => ({
    status: ['completed', 0, 10],
    ...parts,
  })

  test.each<[string, readonly Task[], Convergence['state']]>([
    ['all new tasks run', bothRun, 'converged'],
    ['no tasks yet', [], 'pending'],
    ['one is missing', tasks('1 new running/running'), 'pending'],
    ['old tasks still run (parallelism 0)', bothOldRun, 'pending'],
    ['one old task still runs', tasks('1 new running/running', '2 old running/running'), 'pending'],
    [
      'start-first: the new task runs before the old one has stopped',
      [...bothRun, task('2 old running/running')],
      'pending',
    ],
    [
      'the lowest desired state wins the slot',
      [...bothRun, task('2 new ready/rejected')],
      'failed',
    ],
    [
      'of the same desired state the lowest state wins',
      [...bothRun, task('2 new running/starting')],
      'pending',
    ],
    [
      'a task that is to stop does not count',
      tasks('1 new running/running', '2 new shutdown/running'),
      'pending',
    ],
    [
      'unknown task states are ignored',
      [...bothRun, task('2 new running/dreaming'), task('1 new remove/running')],
      'converged',
    ],
    [
      'a task that failed in the earlier rollout of the same image is no failure',
      [...bothRun, task('1 new shutdown/failed', { made: -50 })],
      'converged',
    ],
    [
      'a task that nothing restarts has failed',
      tasks('1 new running/running', '2 new shutdown/failed'),
      'failed',
    ],
    [
      'a slot that was scaled away may have failed',
      [...bothRun, task('3 new shutdown/failed')],
      'converged',
    ],
    [
      'a slot that is being scaled away may do anything',
      [...bothRun, task('3 new running/starting')],
      'converged',
    ],
    [
      'a rejected task has failed',
      tasks('1 new running/running', '2 new shutdown/rejected', '2 new ready/rejected'),
      'failed',
    ],
    [
      'a task that completes has failed',
      tasks('1 new running/running', '2 new shutdown/complete'),
      'failed',
    ],
    [
      'a task that failed after the watch, later, did not fail the rollout',
      [
        task('1 new running/running'),
        task('2 new shutdown/failed', { made: 5, since: 16 }),
        task('2 new running/running', { made: 16, since: 17 }),
      ],
      'converged',
    ],
    [
      'what was restarted after a failure during the update may still succeed',
      [
        task('1 new running/running'),
        task('2 new shutdown/failed', { made: 5, since: 9 }),
        task('2 new running/running', { made: 9, since: 11 }),
      ],
      'converged',
    ],
    [
      'a failure after the end is final',
      [
        task('1 new running/running'),
        task('2 new shutdown/failed', { made: 5, since: 10.1 }),
        task('2 new running/running', { made: 10.1, since: 11 }),
      ],
      'failed',
    ],
    [
      'the replacement of a failed task lived through the monitor period, and failed later',
      [
        task('1 new running/running'),
        task('2 new shutdown/failed', { made: 5, since: 9 }),
        task('2 new shutdown/failed', { made: 9, since: 20.1 }),
        task('2 new running/running', { made: 20.1, since: 25 }),
      ],
      'converged',
    ],
  ])('%s', (_, seen, state) => {
    expect(look(ended(), seen, { now: 30 }).state).toBe(state)
    expect(look(ended(), seen.toReversed(), { now: 30 }).state).toBe(state)
  })

  test.each<[string, number | undefined, number, object]>([
    ['5 s by default', undefined, 13, { state: 'pending', readAgainInMs: 1500 }],
    ['0 is the default', 0, 13, { state: 'pending', readAgainInMs: 1500 }],
    ['just before its end', undefined, 14.499, { state: 'pending', readAgainInMs: 1 }],
    ['at its end', undefined, 14.5, { state: 'converged' }],
    ['as the service has it', 2e9, 11, { state: 'pending', readAgainInMs: 500 }],
    ['as the service has it, over', 2e9, 11.5, { state: 'converged' }],
    ['a clock that is behind', undefined, -3600, { state: 'pending', readAgainInMs: 5000 }],
  ])(
    'a task that replaces a failed one must run for the monitor period: %s',
    (_, monitor, now, expected) => {
      const seen = [
        task('1 new running/running'),
        task('2 new shutdown/failed', { made: 5, since: 8 }),
        task('2 new running/running', { made: 8, since: 9.5 }),
      ]
      const watched = spec(
        'new',
        monitor === undefined ? {} : { UpdateConfig: { Monitor: monitor } },
      )
      expect(look(ended({ spec: watched }), seen, { now })).toMatchObject(expected)
    },
  )

  test('after a failure in an earlier rollout of the same image, a task need not run for the monitor period', () => {
    const seen = [...bothRun, task('1 new shutdown/failed', { made: -50 })]
    expect(look(ended(), seen, { now: 3 }).state).toBe('converged')
  })

  test('a task that started after the engine had ended the update must run for the monitor period too', () => {
    const seen = [task('1 new running/running'), task('2 new running/running', { since: 12 })]
    expect(look(ended(), seen, { now: 13 })).toMatchObject({
      state: 'pending',
      readAgainInMs: 4000,
    })
    expect(look(ended(), seen, { now: 17 })).toEqual({ state: 'converged' })
  })

  test('a node whose clock is ahead does not delay the verdict', () => {
    const [first, second] = bothRun as [Task, Task]
    const fast = { ...second, Status: { ...second.Status, Timestamp: at(7200) } }
    expect(look(ended(), [first, fast]).state).toBe('converged')
  })

  test.each([
    [10.1, 250],
    [11, 1000],
    [14, 4000],
    [60, 5000],
  ])(
    'while a task is missing, the tasks are read again at growing intervals: after %d s in %d ms',
    (now, expected) => {
      const seen = tasks('1 new running/running', '2 new ready/ready')
      expect(look(ended(), seen, { now })).toMatchObject({
        needsTasks: true,
        readAgainInMs: expected,
        progress: { running: 1, desired: 2 },
      })
    },
  )

  test('the default number of replicas is 1', () => {
    const one = spec('new', { Mode: { Replicated: {} } })
    expect(look(ended({ spec: one }), tasks('1 new running/running')).state).toBe('converged')
    expect(look(ended({ spec: one }), []).state).toBe('pending')
  })

  test('a task on a node that is down or removed does not count as running', () => {
    const seen = [
      task('1 new running/running', { node: 'a' }),
      task('2 new running/running', { node: 'b' }),
    ]
    const up: Node = { ID: 'a', Status: { State: 'ready' } }
    const states = [
      look(ended(), seen).state,
      look(ended(), seen, { nodes: [up, { ID: 'b', Status: { State: 'ready' } }] }).state,
      look(ended(), seen, { nodes: [up, { ID: 'b', Status: { State: 'down' } }] }).state,
      look(ended(), seen, { nodes: [up] }).state,
    ]
    expect(states).toEqual(['converged', 'converged', 'pending', 'pending'])
  })
})

test.each([
  [1, 2],
  [2, 1],
])(
  'the message of a pending rollout contains what the task in slot %i waits for, not that slot %i is not updated yet',
  (waiting, old) => {
    const error = 'no suitable node (scheduling constraints not satisfied on 1 node)'
    const seen = [
      task(`${waiting} new running/pending`, { error }),
      task(`${old} old running/running`),
    ]
    expect(look({ status: ['updating'] }, seen)).toEqual({
      state: 'pending',
      needsTasks: false,
      message: `engine: updating: 0 of 2 tasks run; the task in slot ${waiting} is pending: ${error}`,
      progress: { running: 0, desired: 2 },
      readAgainInMs: 17_000,
    })
  },
)

describe('a new task on a node that goes down, for which the engine waits indefinitely', () => {
  const global = spec('new', { Mode: { Global: {} } })
  const nodes: readonly Node[] = [{ ID: 'a' }, { ID: 'b', Status: { State: 'down' } }]
  const lost = task('- new shutdown/ready', { node: 'b' })
  const runs = task('- new running/running', { node: 'a' })

  test.each<[string, ServiceParts, readonly Task[], number, Convergence['state']]>([
    ['the others have run for long enough', {}, [runs, lost], 7, 'converged'],
    ['the others have not run for long enough', {}, [runs, lost], 6.9, 'pending'],
    [
      'another is on its way',
      {},
      [task('- new running/starting', { node: 'a' }), lost],
      7,
      'pending',
    ],
    ['an old task is left', {}, [task('- old running/running', { node: 'a' }), lost], 7, 'pending'],
    ['no task was lost', {}, [runs], 60, 'pending'],
    [
      'an old task was lost',
      {},
      [runs, task('- old shutdown/ready', { node: 'b' })],
      60,
      'pending',
    ],
    ['it ran before', {}, [runs, task('- new shutdown/running', { node: 'b' })], 60, 'pending'],
    [
      'its slot is filled elsewhere',
      { spec: spec('new', { Mode: { Replicated: { Replicas: 1 } } }) },
      [task('1 new shutdown/ready', { node: 'b' }), task('1 new running/running', { node: 'a' })],
      7,
      'converged',
    ],
    [
      'in a rollback',
      { spec: spec('old', { Mode: { Global: {} } }), status: ['rollback_started'] },
      [task('- old running/running', { node: 'a' }), task('- old shutdown/ready', { node: 'b' })],
      7,
      'rolled-back',
    ],
  ])('%s', (_, parts, seen, now, state) => {
    const stuck: ServiceParts = { spec: global, status: ['updating'], ...parts }
    expect(look(stuck, seen, { now, nodes }).state).toBe(state)
  })

  test.each([
    [0.1, { needsTasks: false, readAgainInMs: 28_900 }],
    [28.9, { needsTasks: false, readAgainInMs: 100 }],
    [29, { needsTasks: true, readAgainInMs: 30_000 }],
    [99, { needsTasks: true, readAgainInMs: 100_000 }],
    [9000, { needsTasks: true, readAgainInMs: 300_000 }],
    [-9000, { needsTasks: false, readAgainInMs: 30_000 }],
  ])('so the tasks of a long update are read at growing intervals: after %d s', (now, expected) => {
    expect(look({ status: ['updating'] }, undefined, { now })).toMatchObject(expected)
  })
})

test('while the slots that the service needs prove themselves, another may have failed', () => {
  const seen = [
    task('1 new running/running', { since: 10 }),
    task('2 new running/running', { since: 10 }),
    task('3 new shutdown/failed', { since: 11 }),
  ]
  const state = (now: number) => look({ status: ['completed', 0, 9] }, seen, { now }).state
  expect([14.9, 15].map(state)).toEqual(['pending', 'converged'])
})

test('the message of a failure contains the task and the reason', () => {
  const seen = [
    task('1 new running/running'),
    task('2 new shutdown/failed', { error: 'task: non-zero exit (1)', since: 11 }),
    task('2 new ready/ready'),
  ]
  expect(look({ status: ['completed', 0, 10] }, seen)).toEqual({
    state: 'failed',
    message: '1 of 2 tasks run; the task in slot 2 is failed: task: non-zero exit (1)',
  })
})

describe('a rollback by the engine', () => {
  const back = { spec: spec('old'), status: ['rollback_completed', 0, 14] } as const

  test('to an image that fails too: the message contains both', () => {
    const seen = [
      task('1 old running/running'),
      task('2 old shutdown/failed', { made: 12, since: 15, error: 'task: non-zero exit (1)' }),
    ]
    expect(look(back, seen, { now: 16 })).toEqual({
      state: 'failed',
      message:
        'The engine went back to old, which fails too: 1 of 2 tasks run; the task in slot 2 is failed: task: non-zero exit (1)',
    })
  })

  test('of a later update does not belong to this rollout, which was superseded', () => {
    const seen = [...bothOldRun, task('1 newer shutdown/failed', { made: 20 })]
    for (const status of ['rollback_paused', 'rollback_completed']) {
      const later: ServiceParts = { ...back, status: [status, 19, 30] }
      expect(look(later, seen).state).toBe('superseded')
    }
  })

  test('is not attributed to a later update because of the tasks before it', () => {
    const seen = [...bothOldRun, task('1 older shutdown/shutdown', { made: -2000 })]
    expect(look(back, seen, { now: 14 }).state).toBe('rolled-back')
  })

  test('of a later update to the image of this rollout can converge', () => {
    const later: ServiceParts = { status: ['rollback_completed', 19, 30] }
    const seen = [...bothRun, task('1 newer shutdown/failed', { made: 20 })]
    expect(look(later, seen, { now: 30 }).state).toBe('converged')
  })

  test('uses the monitor period of rollbacks', () => {
    const seen = [
      task('1 old running/running'),
      task('2 old shutdown/failed', { made: 9, since: 10 }),
      task('2 old running/running', { made: 10, since: 12 }),
    ]
    const watched = { ...back, spec: spec('old', { RollbackConfig: { Monitor: 3e9 } }) }
    expect(look(watched, seen, { now: 14 })).toMatchObject({
      state: 'pending',
      readAgainInMs: 1000,
    })
    expect(look(watched, seen, { now: 15 }).state).toBe('rolled-back')
  })

  test.each<[string, ServiceParts, readonly Task[] | undefined, object]>([
    ['needs the tasks', {}, undefined, { state: 'pending', needsTasks: true }],
    [
      'not before the engine, at work again, is done',
      { status: ['updating', 9] },
      [...bothOldRun, task('1 new shutdown/failed')],
      { state: 'pending' },
    ],
    ['not when no task failed', {}, bothOldRun, { state: 'superseded' }],
    [
      'not when no task of the rollout failed',
      {},
      [...bothOldRun, ...tasks('1 old shutdown/failed', '1 new shutdown/shutdown')],
      { state: 'superseded' },
    ],
    ['not to a third image', { spec: spec('x') }, undefined, { state: 'superseded' }],
    ['not after a force', { spec: spec('old', { force: 1 }) }, undefined, { state: 'superseded' }],
    ['not without a write', { previous: spec('new') }, undefined, { state: 'superseded' }],
  ])('whose status was removed by a change of a label: %s', (_, parts, seen, expected) => {
    const changed = { spec: spec('old'), previous: parts.spec ?? spec('old'), ...parts }
    expect(look(changed, seen)).toMatchObject(expected)
  })
})

describe('a global service', () => {
  const ended: ServiceParts = {
    spec: spec('new', { Mode: { Global: {} } }),
    status: ['completed', 0, 10],
  }
  const on = (node: string, states: string, image = 'new'): Task =>
    task(`- ${image} ${states}`, { node })
  const node = (ID: string, State: string, Availability = 'active'): Node => ({
    ID,
    Status: { State },
    Spec: { Availability },
  })

  test.each<[string, readonly Task[], Node, Convergence['state']]>([
    [
      'runs on every node',
      [on('a', 'running/running'), on('b', 'running/running')],
      node('b', 'ready'),
      'converged',
    ],
    [
      'waits for a node',
      [on('a', 'running/running'), on('b', 'running/starting')],
      node('b', 'ready'),
      'pending',
    ],
    [
      'waits for an old task',
      [on('a', 'running/running'), on('b', 'running/running', 'old')],
      node('b', 'ready'),
      'pending',
    ],
    [
      'does not wait for a node that is down',
      [on('a', 'running/running'), on('b', 'running/starting')],
      node('b', 'down'),
      'converged',
    ],
    [
      'nor for one that is drained',
      [on('a', 'running/running'), on('b', 'running/starting')],
      node('b', 'ready', 'drain'),
      'converged',
    ],
    [
      'nor for one that it left',
      [on('a', 'running/running'), on('b', 'shutdown/shutdown')],
      node('b', 'ready'),
      'converged',
    ],
    [
      'waits for a paused node',
      [on('a', 'running/running'), on('b', 'running/starting')],
      node('b', 'ready', 'pause'),
      'pending',
    ],
    [
      'fails where nothing restarts',
      [on('a', 'running/running'), on('b', 'shutdown/failed')],
      node('b', 'ready'),
      'failed',
    ],
  ])('%s', (_, seen, b, state) => {
    expect(look(ended, seen, { nodes: [node('a', 'ready'), b] }).state).toBe(state)
  })

  test('is done when the engine has left the task on a paused node as it is, with a warning', () => {
    const nodes: readonly Node[] = [
      node('a', 'ready'),
      { ...node('b', 'ready', 'pause'), Description: { Hostname: 'beta' } },
    ]
    const left = on('b', 'running/running', 'old')
    expect(look(ended, [on('a', 'running/running'), left], { nodes })).toEqual({
      state: 'converged',
      warnings: ['Node beta is paused: its task was left as it is, with old'],
    })
    expect(look(ended, [left], { nodes }).state).toBe('converged')
    expect(look(ended, [on('a', 'running/starting'), left], { nodes }).state).toBe('pending')
    expect(look(ended, [on('a', 'running/running'), left]).state).toBe('pending')
  })

  test('that fits no node is done, with a warning', () => {
    const fresh: ServiceParts = { spec: spec('new', { Mode: { Global: {} } }) }
    const none = { state: 'converged', warnings: [expect.stringContaining('No node')] }
    expect(look(fresh, [], { now: 1 })).toEqual(none)
    expect(look(fresh, [], { now: 0.9 }).state).toBe('pending')
    const lost = [on('b', 'running/running')]
    expect(look(ended, lost, { nodes: [node('b', 'down')] }).state).toBe('pending')
  })

  test('the message names the node', () => {
    const nodes: readonly Node[] = [{ ...node('a', 'ready'), Description: { Hostname: 'alpha' } }]
    expect(look(ended, [on('a', 'running/starting')], { nodes })).toMatchObject({
      message: '0 of 1 tasks run; the task on node alpha is starting',
    })
    expect(look(ended, [], { nodes, now: 0.9 })).toMatchObject({
      message: 'no node has a task of the service',
    })
  })
})

describe('a job', () => {
  const jobTask = (words: string, parts: TaskParts = {}): Task =>
    task(words, { iteration: 1, ...parts })
  const all = (mode: ServiceMode): ServiceParts => ({
    spec: spec('new', { Mode: mode }),
    iteration: 1,
  })
  const three = all({ ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 3 } })

  test.each<[string, ServiceParts, readonly Task[], Convergence['state']]>([
    [
      'is done when all are complete; the engine leaves slot 0 out',
      three,
      [
        jobTask('- new complete/complete'),
        jobTask('1 new complete/complete'),
        jobTask('2 new complete/complete'),
      ],
      'converged',
    ],
    [
      'is pending while a task runs',
      three,
      [
        jobTask('- new complete/complete'),
        jobTask('1 new complete/complete'),
        jobTask('2 new complete/running'),
      ],
      'pending',
    ],
    [
      'is pending until the last slot has its task',
      three,
      [jobTask('- new complete/complete'), jobTask('1 new complete/complete')],
      'pending',
    ],
    [
      'does not count an earlier run, of the first iteration either',
      { ...three, spec: spec('new', { Mode: { ReplicatedJob: { TotalCompletions: 1 } } }) },
      [jobTask('- new complete/complete', { iteration: 0 }), jobTask('- new complete/running')],
      'pending',
    ],
    [
      'by default runs as many tasks as may run at the same time',
      all({ ReplicatedJob: { MaxConcurrent: 2 } }),
      [jobTask('- new complete/complete')],
      'pending',
    ],
    [
      'by default runs once; the first run has no index',
      { ...all({ ReplicatedJob: {} }), iteration: 0 },
      [jobTask('- new complete/complete', { iteration: 0 })],
      'converged',
    ],
    [
      'may fail and start again',
      all({ ReplicatedJob: {} }),
      [jobTask('- new shutdown/failed'), jobTask('- new ready/ready')],
      'pending',
    ],
    [
      'may succeed in the end',
      all({ ReplicatedJob: {} }),
      [jobTask('- new shutdown/failed'), jobTask('- new complete/complete')],
      'converged',
    ],
    [
      'fails when nothing starts it again',
      all({ ReplicatedJob: {} }),
      [jobTask('- new shutdown/failed'), jobTask('- new shutdown/failed')],
      'failed',
    ],
    [
      'of all nodes is done on each of them',
      all({ GlobalJob: {} }),
      [
        jobTask('- new complete/complete', { node: 'a' }),
        jobTask('- new complete/complete', { node: 'b' }),
      ],
      'converged',
    ],
    [
      'of all nodes waits for one',
      all({ GlobalJob: {} }),
      [
        jobTask('- new complete/complete', { node: 'a' }),
        jobTask('- new complete/running', { node: 'b' }),
      ],
      'pending',
    ],
    [
      'of all nodes does not wait for one that is down, but keeps what was done there',
      all({ GlobalJob: {} }),
      [
        jobTask('- new complete/running', { node: 'down' }),
        jobTask('- new complete/complete', { node: 'down2' }),
      ],
      'converged',
    ],
    ['of all nodes waits for its tasks', all({ GlobalJob: {} }), [], 'pending'],
  ])('%s', (_, parts, seen, state) => {
    const nodes = ['a', 'b', 'down', 'down2'].map((ID) => ({
      ID,
      Status: { State: ID.startsWith('down') ? 'down' : 'ready' },
    }))
    expect(look(parts, seen, { nodes }).state).toBe(state)
  })

  test('has no events, so its tasks are read again; its message contains the number of completed tasks', () => {
    expect(look(three, [jobTask('- new complete/running')], { now: 3 })).toEqual({
      state: 'pending',
      needsTasks: true,
      message: '0 of 3 tasks are complete; the task in slot 0 is running',
      progress: { running: 0, desired: 3 },
      readAgainInMs: 4000,
    })
  })
})

describe('evidence', () => {
  test('is the newest failed task of each slot of this rollout', () => {
    const nodes: readonly Node[] = [{ ID: 'a', Description: { Hostname: 'alpha' } }]
    const older = task('1 new shutdown/failed', { made: 5, node: 'a' })
    const last = task('1 new shutdown/failed', { made: 9, node: 'a', error: 'exit', exitCode: 3 })
    const seen = [
      task('2 new shutdown/rejected', { error: 'No such image: new' }),
      older,
      last,
      task('1 new running/running', { made: 10 }),
      task('3 new shutdown/complete', { node: 'b', exitCode: 0 }),
      task('4 new shutdown/orphaned', { node: 'c' }),
      task('5 old shutdown/failed', { made: 3 }),
      task('6 new shutdown/failed', { made: -60 }),
      task('7 new shutdown/failed', { force: 1 }),
      task('8 new shutdown/shutdown'),
    ]
    expect(evidence(rollout, seen, { nodes })).toEqual([
      { taskId: last.ID, slot: 1, node: 'alpha', state: 'failed', error: 'exit', exitCode: 3 },
      {
        taskId: seen[0]?.ID,
        slot: 2,
        node: '',
        state: 'rejected',
        error: 'No such image: new',
      },
      { taskId: seen[4]?.ID, slot: 3, node: 'b', state: 'complete', error: '', exitCode: 0 },
      { taskId: seen[5]?.ID, slot: 4, node: 'c', state: 'orphaned', error: '' },
    ])
  })

  test('a rejected task has no exit code, since it never had a container', () => {
    const rejected = task('1 new shutdown/rejected')
    const Status = { ...rejected.Status, ContainerStatus: { ContainerID: '', ExitCode: 0 } }
    expect(evidence(rollout, [{ ...rejected, Status }])[0]).not.toHaveProperty('exitCode')
  })

  test('is limited, and in the order of slots', () => {
    const seen = Array.from({ length: 12 }, (_, index) => task(`${12 - index} new shutdown/failed`))
    expect(evidence(rollout, seen).map(({ slot }) => slot)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('of a job does not contain completed tasks, and that of a global service has one task for each node', () => {
    const seen = [
      task('- new complete/complete', { iteration: 1, node: 'a', made: 9 }),
      task('- new shutdown/failed', { iteration: 1, node: 'a' }),
      task('- new shutdown/failed', { iteration: 1, node: 'b' }),
    ]
    const found = evidence(rollout, seen).map(({ node, state }) => [node, state])
    expect(found).toEqual([
      ['a', 'failed'],
      ['b', 'failed'],
    ])
  })
})

describe('any state of the swarm', () => {
  const state = fc.constantFrom(
    ...['new', 'pending', 'ready', 'starting', 'running', 'complete', 'shutdown', 'failed'],
    ...['rejected', 'orphaned', 'remove', 'odd'],
  )
  const seconds = fc.integer({ min: -20, max: 40 })
  const anyTask = fc
    .record({
      slot: fc.integer({ min: 0, max: 3 }),
      image: fc.constantFrom('new', 'old', 'newer'),
      desired: fc.constantFrom('ready', 'running', 'complete', 'shutdown', 'remove'),
      state,
      made: seconds,
      lasted: fc.integer({ min: 0, max: 20 }),
      node: fc.constantFrom('', 'a', 'b'),
      iteration: fc.constantFrom(undefined, 0, 1),
    })
    .map(({ slot, image, desired, state, made, lasted, iteration, node }) =>
      task(`${slot || '-'} ${image} ${desired}/${state}`, {
        made,
        since: made + lasted,
        node,
        ...(iteration !== undefined && { iteration }),
      }),
    )
  const mode = fc.constantFrom<ServiceMode>(
    { Replicated: { Replicas: 2 } },
    { Replicated: { Replicas: 0 } },
    { Global: {} },
    { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 2 } },
    { GlobalJob: {} },
    {},
  )
  const anyService = fc
    .record({
      image: fc.constantFrom('new', 'old', 'newer'),
      mode,
      status: fc.option(
        fc.tuple(
          fc.constantFrom(
            ...['updating', 'paused', 'completed', 'odd'],
            ...['rollback_started', 'rollback_paused', 'rollback_completed'],
          ),
          seconds,
          seconds,
        ),
        { nil: undefined },
      ),
      previous: fc.constantFrom(undefined, 'new', 'old'),
      version: fc.constantFrom(10, 11, 12),
      iteration: fc.constantFrom(undefined, 0, 1),
      condition: fc.constantFrom(undefined, 'none', 'on-failure'),
      delay: fc.constantFrom(0, 2e9, 8e9),
    })
    .map(({ image, mode, status, previous, version, iteration, condition, delay }) =>
      service({
        spec: {
          ...spec(image, { Mode: mode, UpdateConfig: { Delay: delay } }),
          TaskTemplate: {
            ...spec(image).TaskTemplate,
            ...(condition && { RestartPolicy: { Condition: condition } }),
          },
        },
        version,
        ...(status && { status }),
        ...(previous && { previous: spec(previous) }),
        ...(iteration !== undefined && { iteration }),
      }),
    )
  const anySnapshot: fc.Arbitrary<ObservedState> = fc.record({
    service: anyService,
    tasks: fc.option(fc.array(anyTask, { maxLength: 8 }), { nil: undefined }),
    nodes: fc.constantFrom(
      undefined,
      [],
      [{ ID: 'a' }],
      [{ ID: 'a', Status: { State: 'down' } }],
      [{ ID: 'a', Spec: { Availability: 'pause' } }],
    ),
    now: seconds.map((now) => WRITE + now * 1000),
  })
  const states = ['pending', 'converged', 'rolled-back', 'paused', 'failed', 'superseded']

  test('results in a judgement, and a pending rollout always has something that it waits for', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const verdict = judge(rollout, snapshot)
        expect(states).toContain(verdict.state)
        if (verdict.state === 'pending' && snapshot.tasks !== undefined && verdict.needsTasks) {
          expect(verdict.readAgainInMs).toBeGreaterThan(0)
          expect(verdict.readAgainInMs).toBeLessThanOrEqual(60_000)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('time alone does not revoke a verdict', () => {
    fc.assert(
      fc.property(anySnapshot, fc.nat(60_000), (snapshot, later) => {
        const verdict = judge(rollout, snapshot)
        fc.pre(verdict.state !== 'pending')
        // The message counts the tasks that have proved themselves, and those may become more.
        expect(judge(rollout, { ...snapshot, now: snapshot.now + later }).state).toBe(verdict.state)
      }),
      { numRuns: 2000 },
    )
  })

  test('the tasks do not change what the service alone decides', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const alone = judge(rollout, { ...snapshot, tasks: undefined, nodes: undefined })
        const both = judge(rollout, snapshot)
        if (alone.state !== 'pending') expect(both).toEqual(alone)
      }),
      { numRuns: 2000 },
    )
  })

  test('the order in which the engine lists tasks does not matter', () => {
    fc.assert(
      fc.property(anySnapshot, fc.infiniteStream(fc.nat()), (snapshot, keys) => {
        const seen = snapshot.tasks ?? []
        const shuffled = seen
          .map((one) => [keys.next().value ?? 0, one] as const)
          .sort(([one], [other]) => one - other)
          .map(([, one]) => one)
        expect(judge(rollout, { ...snapshot, tasks: shuffled })).toEqual(
          judge(rollout, { ...snapshot, tasks: seen }),
        )
        expect(evidence(rollout, shuffled)).toEqual(evidence(rollout, seen))
      }),
      { numRuns: 1000 },
    )
  })

  test('a rollout converges only when all of its slots run, and only its own tasks are wanted', () => {
    const likely = fc.constantFrom('running/running', 'running/running', 'shutdown/shutdown')
    const likelyTask = fc
      .record({
        slot: fc.integer({ min: 1, max: 2 }),
        image: fc.constantFrom('new', 'new', 'old'),
        states: fc.oneof(likely, fc.constantFrom('running/starting', 'shutdown/failed')),
      })
      .map(({ slot, image, states }) => task(`${slot} ${image} ${states}`))
    let converged = 0
    fc.assert(
      fc.property(fc.array(likelyTask, { maxLength: 6 }), (seen) => {
        const isRunning = (slot: number): boolean =>
          seen.some((one) => one.Slot === slot && isOurs(one) && one.Status.State === 'running')
        const isOurs = ({ Spec }: Task): boolean => Spec.ContainerSpec?.Image === 'new'
        const strangers = seen.filter((one) => one.DesiredState === 'running' && !isOurs(one))
        if (look({ status: ['completed', 0, 10] }, seen).state === 'converged') {
          converged += 1
          expect([isRunning(1), isRunning(2), strangers]).toEqual([true, true, []])
        }
      }),
      { numRuns: 2000 },
    )
    expect(converged).toBeGreaterThan(10)
  })
})
