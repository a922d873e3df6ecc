// The tasks of all services; they change only by calls, never by time.

import type { Node, Task, TaskStatus } from '../../src/swarm/engine-types.ts'
import { isJob, noSuitableNode, type Place, placesOf, suitableNodes } from './fake-placement.ts'
import type { FakeService } from './fake-services.ts'
import { container, type FailOptions, failure, isOtherTemplate } from './fake-task-status.ts'

export interface FakeTask extends Task {
  readonly ServiceID: string
}

export interface FakeTasks {
  /** All tasks of a service, oldest first. */
  of(service: FakeService): readonly FakeTask[]
  /** The failed tasks of its current spec that are newer than the task with an ID. */
  failures(service: FakeService, after: string): readonly FakeTask[]
  /** Prepares a task in a place, unless there is one of the service's current spec. */
  start(service: FakeService, place: Place): FakeTask
  /** The same, and the task runs if a node accepts it. */
  run(service: FakeService, place: Place): FakeTask
  /** The same, and the task completes. */
  finish(service: FakeService, place: Place): FakeTask
  fail(service: FakeService, place: Place, options?: FailOptions): FakeTask
  /** The tasks that run have done so for some milliseconds at least. */
  age(service: FakeService, ms: number): void
  /** Creates or removes tasks until their number matches the spec; others are not changed. */
  scale(service: FakeService): void
  remove(service: FakeService): void
}

// The engine's default, which includes running tasks (swarmkit, taskreaper/task_reaper.go).
const KEPT_PER_PLACE = 5

/**
 * @param now The engine's clock.
 * @param nodes The nodes of the swarm at any time.
 */
export function createFakeTasks(now: () => number, nodes: () => readonly Node[]): FakeTasks {
  let all: readonly FakeTask[] = []
  let made = 0
  const time = (): string => new Date(now()).toISOString()
  const of = ({ ID }: FakeService): readonly FakeTask[] =>
    all.filter(({ ServiceID }) => ServiceID === ID)
  const at = (service: FakeService, place: Place): readonly FakeTask[] =>
    of(service).filter((task) => placeOf(task, service) === place)

  function make(service: FakeService, place: Place): FakeTask {
    made += 1
    const { ID: ServiceID, Spec, JobStatus } = service
    const task = {
      ID: `task${String(made).padStart(21, '0')}`,
      ServiceID,
      CreatedAt: time(),
      UpdatedAt: time(),
      Spec: Spec.TaskTemplate,
      ...(place !== 0 && typeof place === 'number' && { Slot: place }),
      ...(typeof place === 'string' && { NodeID: place }),
      DesiredState: isJob(Spec) ? 'complete' : 'running',
      Status: { State: 'new', Timestamp: time() },
      ...(JobStatus && { JobIteration: JobStatus.JobIteration }),
    }
    const surplus = at(service, place)
      .filter((old) => !isWanted(old))
      .slice(0, Math.max(0, at(service, place).length + 1 - KEPT_PER_PLACE))
    all = [...all.filter((old) => !surplus.includes(old)), task]
    return task
  }

  function move(task: FakeTask, status: TaskStatus, more: Partial<FakeTask> = {}): FakeTask {
    const Status = { ...status, Timestamp: time() }
    const moved = { ...task, ...more, UpdatedAt: time(), Status }
    all = all.map((other) => (other.ID === task.ID ? moved : other))
    return moved
  }

  /** Assigns a task to a node that accepts it. */
  function assign(task: FakeTask, place: Place): FakeTask {
    const suitable = suitableNodes(task.Spec, nodes())
    const node = typeof place === 'number' ? suitable[place % suitable.length]?.ID : place
    return node === undefined
      ? move(task, {
          State: 'pending',
          Message: 'pending task scheduling',
          Err: noSuitableNode(task.Spec, nodes()),
        })
      : move(task, { State: 'preparing', Message: 'preparing' }, { NodeID: node })
  }

  function start(service: FakeService, place: Place): FakeTask {
    const here = at(service, place).filter(isWanted)
    const [current] = here.filter((task) => isOf(service, task))
    const outdated = here.filter((task) => task !== current)
    if (isJob(service.Spec)) {
      all = all.filter((task) => !outdated.includes(task))
    } else {
      for (const task of outdated) {
        move(task, { ...task.Status, State: 'shutdown', Message: 'shutdown' }, SHUT_DOWN)
      }
    }
    return current ?? assign(make(service, place), place)
  }

  function run(service: FakeService, place: Place): FakeTask {
    const started = start(service, place)
    const task = started.NodeID === undefined ? assign(started, place) : started
    const isStarted = ['running', 'complete'].includes(task.Status.State)
    if (isStarted || task.NodeID === undefined) {
      return task
    }
    const DesiredState = isJob(service.Spec) ? 'complete' : 'running'
    return move(
      task,
      { State: 'running', Message: 'started', ...container(task) },
      { DesiredState },
    )
  }

  return {
    of,
    failures: (service, after) =>
      of(service).filter((task) => isOf(service, task) && hasFailed(task) && task.ID > after),
    start,
    run,

    finish(service, place) {
      const task = run(service, place)
      const isRunning = task.Status.State === 'running'
      return isRunning ? move(task, { State: 'complete', ...container(task, 0) }) : task
    },

    fail(service, place, options = {}) {
      const task = start(service, place)
      const failed = move(task, failure(task, options), SHUT_DOWN)
      if (options.restarts ?? true) {
        const { NodeID = '' } = failed
        const next = make(service, place)
        move(next, { State: 'ready', Message: 'prepared' }, { DesiredState: 'ready', NodeID })
      }
      return failed
    },

    age(service, ms) {
      const start = new Date(now() - ms).toISOString()
      all = all.map((task) =>
        task.ServiceID === service.ID && task.Status.State === 'running' && task.UpdatedAt > start
          ? { ...task, UpdatedAt: start, Status: { ...task.Status, Timestamp: start } }
          : task,
      )
    },

    scale(service) {
      const places = placesOf(service.Spec, nodes())
      const surplus = of(service).filter((task) => !places.includes(placeOf(task, service)))
      all = all.filter((task) => !surplus.includes(task))
      for (const place of places.filter((place) => at(service, place).length === 0)) {
        run(service, place)
      }
    },

    remove({ ID }) {
      all = all.filter(({ ServiceID }) => ServiceID !== ID)
    },
  }
}

const SHUT_DOWN = { DesiredState: 'shutdown' }

function placeOf({ Slot, NodeID = '' }: Task, { Spec: { Mode } }: FakeService): Place {
  return Mode?.Global || Mode?.GlobalJob ? NodeID : (Slot ?? 0)
}

function isWanted({ DesiredState }: Task): boolean {
  return DesiredState !== 'shutdown'
}

function hasFailed({ DesiredState, Status }: Task): boolean {
  return DesiredState === 'shutdown' && Status.State !== 'shutdown'
}

function isOf({ Spec, JobStatus }: FakeService, task: Task): boolean {
  return JobStatus
    ? (task.JobIteration?.Index ?? 0) === (JobStatus.JobIteration.Index ?? 0)
    : !isOtherTemplate(task.Spec, Spec.TaskTemplate)
}
