// Remembers the tasks of a service over several readings: a swarm with a small task history forgets those
// that have failed.

import { isMadeOf, isOfJob, isWanted, milliseconds, taskTargetOf } from '../convergence/tasks.ts'
import type { Task } from '../swarm/engine-types.ts'

/** The tasks of the readings so far. */
export interface TaskMemory {
  /**
   * Adds what earlier readings had of the same slots and the engine does not list any more: tasks that had
   * ended by themselves, and tasks that were to run and that another one of the same spec has replaced.
   *
   * @param tasks The tasks of the latest reading.
   * @returns These tasks, and those.
   */
  recall(tasks: readonly Task[]): readonly Task[]
}

// The default of the engine's own history.
const TASKS_PER_SLOT = 5
const GONE = 'The swarm has replaced this task, and does not list it any more'

/**
 * Creates an empty memory.
 *
 * @returns The memory, for the readings of one service in their order.
 */
export function createTaskMemory(): TaskMemory {
  let latest: readonly Task[] = []
  let recalled: readonly Task[] = []

  return {
    recall(tasks) {
      if (tasks !== latest) {
        const gone = forgotten(recalled, tasks)
        recalled = gone.length === 0 ? tasks : [...tasks, ...gone]
        latest = tasks
      }
      return recalled
    },
  }
}

function forgotten(known: readonly Task[], tasks: readonly Task[]): readonly Task[] {
  const listed = new Set(tasks.map(({ ID }) => ID))
  const missing = known.filter((task) => !listed.has(task.ID) && !isOfJob(task))
  const counts = new Map<number, number>()
  return missing.flatMap((task) => {
    const later = tasks.filter(({ Slot }) => Slot === task.Slot)
    // Where nothing of the slot is listed, the service was scaled, or is global.
    const ended = task.Slot === undefined || later.length === 0 ? undefined : endOf(task, later)
    const slot = task.Slot ?? 0
    const count = later.length + (counts.get(slot) ?? 0)
    if (ended === undefined || count >= TASKS_PER_SLOT) {
      return []
    }
    counts.set(slot, (counts.get(slot) ?? 0) + 1)
    return [ended]
  })
}

/** The task as it ended; undefined where it was stopped, or another spec has replaced it. */
function endOf(task: Task, later: readonly Task[]): Task | undefined {
  if (ENDED.includes(task.Status.State)) {
    return task
  }
  const target = taskTargetOf(task.Spec)
  const replacement = later.find(
    ({ Spec, CreatedAt }) =>
      isMadeOf(target, Spec) && milliseconds(CreatedAt) > milliseconds(task.CreatedAt),
  )
  if (replacement === undefined || !isWanted(task)) {
    return undefined
  }
  const { CreatedAt } = replacement
  return {
    ...task,
    DesiredState: 'shutdown',
    UpdatedAt: CreatedAt,
    Status: { State: 'failed', Timestamp: CreatedAt, Err: GONE },
  }
}

const ENDED: readonly string[] = ['complete', 'failed', 'rejected']
