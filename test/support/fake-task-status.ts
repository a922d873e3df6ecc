// What the engine says of tasks and of what they are made of.

import type { Task, TaskSpec, TaskStatus } from '../../src/swarm/engine-types.ts'
import type { Place } from './fake-placement.ts'

/** How a task fails. */
export interface FailOptions {
  /** The slot, or in a global service the node's ID. Default: all of them. */
  readonly place?: Place
  /**
   * Default: `failed`. `rejected`: it never had a container. `complete`: its health check never
   * passed, so say the engines.
   */
  readonly state?: 'failed' | 'rejected' | 'complete'
  /** Default: what the engine says for the state. */
  readonly error?: string
  /** Default: 1 for `failed`, 0 for `complete`. */
  readonly exitCode?: number
  /** Whether a new task waits in its place to be started. Default: true. */
  readonly restarts?: boolean
}

/** Whether a spec makes other tasks than another one, and so has those replaced. */
export function isOtherTemplate(one: TaskSpec, other: TaskSpec): boolean {
  return print(one) !== print(other)
}

/** What a task that fails tells. */
export function failure(task: Task, options: FailOptions): TaskStatus {
  const { state = 'failed', exitCode = state === 'failed' ? 1 : 0 } = options
  const errors = {
    failed: `task: non-zero exit (${exitCode})`,
    rejected: `No such image: ${task.Spec.ContainerSpec?.Image}`,
    complete: undefined,
  }
  const Err = options.error ?? errors[state]
  // Without a container it tells of an exit code 0 all the same (20.10).
  const ContainerStatus = { ContainerStatus: { ExitCode: exitCode } }
  return {
    State: state,
    Message: state === 'complete' ? 'finished' : 'started',
    ...(Err !== undefined && { Err }),
    ...(state === 'rejected' ? ContainerStatus : container(task, exitCode)),
  }
}

/** What a task tells of its container. */
export function container({ ID }: Task, ExitCode = 0): Pick<TaskStatus, 'ContainerStatus'> {
  return { ContainerStatus: { ContainerID: `container-${ID}`, ExitCode } }
}

/** Where a task may run does not make it another one (swarmkit, orchestrator/task.go). */
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
