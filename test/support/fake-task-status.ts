// The status of tasks, and the comparison of task templates, as the engine has them.

import type { Task, TaskSpec, TaskStatus } from '../../src/swarm/engine-types.ts'
import type { Place } from './fake-placement.ts'

/** How a task fails. */
export interface FailOptions {
  /** The slot, or in a global service the node's ID. Default: all of them. */
  readonly place?: Place
  /**
   * Default: `failed`. `rejected`: the task never had a container. `complete`: its health check
   * never passed, which engines report with this state.
   */
  readonly state?: 'failed' | 'rejected' | 'complete'
  /** Default: the engine's message for the state. */
  readonly error?: string
  /** Default: 1 for `failed`, 0 for `complete`. */
  readonly exitCode?: number
  /** Whether a new task waits in its place for its start. Default: true. */
  readonly restarts?: boolean
}

/** Whether a change from one task template to another replaces the tasks. */
export function isOtherTemplate(one: TaskSpec, other: TaskSpec): boolean {
  return print(one) !== print(other)
}

/** The status of a task that fails. */
export function failure(task: Task, options: FailOptions): TaskStatus {
  const { state = 'failed', exitCode = state === 'failed' ? 1 : 0 } = options
  const errors = {
    failed: `task: non-zero exit (${exitCode})`,
    rejected: `No such image: ${task.Spec.ContainerSpec?.Image}`,
    complete: undefined,
  }
  const Err = options.error ?? errors[state]
  // The engine (20.10) reports exit code 0 even if there was no container.
  const ContainerStatus = { ContainerStatus: { ExitCode: exitCode } }
  return {
    State: state,
    Message: state === 'complete' ? 'finished' : 'started',
    ...(Err !== undefined && { Err }),
    ...(state === 'rejected' ? ContainerStatus : container(task, exitCode)),
  }
}

/** The container in the status of a task. */
export function container({ ID }: Task, ExitCode = 0): Pick<TaskStatus, 'ContainerStatus'> {
  return { ContainerStatus: { ContainerID: `container-${ID}`, ExitCode } }
}

/** A change of the placement alone does not replace a task (swarmkit, orchestrator/task.go). */
function print({ Placement: _, ...spec }: TaskSpec): string {
  return JSON.stringify({ ForceUpdate: 0, ...spec }, (_key, part) => {
    if (typeof part === 'bigint') {
      return `bigint ${part}`
    }
    return typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part
  })
}
