// The failed tasks of a rollout, for the verdict.

import type { Node, Task } from '../swarm/engine-types.ts'
import { isMadeBy, type Rollout } from './rollout.ts'
import { bySlot, isFailure, newest, nodeName } from './tasks.ts'

/** A task that failed. */
export interface FailedTask {
  readonly taskId: string
  /** Its place in a replicated service; absent in a global one. */
  readonly slot?: number
  /** The node's host name, or its ID; empty where no node took the task. */
  readonly node: string
  /** `failed`, `rejected`, `orphaned`, or `complete` where the service is no job. */
  readonly state: string
  /** The engine's error message, or else its last status message. */
  readonly error: string
  /** Absent where the task had no container. */
  readonly exitCode?: number
}

const MAX_TASKS = 10

/**
 * Finds the failed tasks of a rollout.
 *
 * @param rollout The rollout.
 * @param tasks All tasks of the service.
 * @param options The swarm's nodes, for their names.
 * @returns The newest failed task of each slot, at most ten, in the order of the slots.
 */
export function evidence(
  rollout: Rollout,
  tasks: readonly Task[],
  options: { readonly nodes?: readonly Node[] | undefined } = {},
): readonly FailedTask[] {
  const failed = tasks.filter(
    (task) => isMadeBy(rollout, task) && (isFailure(task) || task.Status.State === 'orphaned'),
  )
  const global = failed.every(({ Slot }) => Slot === undefined)
  return bySlot(failed, global)
    .flatMap(([, slot]) => newest(slot) ?? [])
    .slice(0, MAX_TASKS)
    .map((task) => describeFailure(task, options.nodes))
}

function describeFailure(task: Task, nodes: readonly Node[] | undefined): FailedTask {
  const { ID, Slot, NodeID, Status } = task
  const { State, Err, Message, ContainerStatus } = Status
  // A task without a container has an exit code of 0 too (20.10).
  const exitCode = ContainerStatus?.ContainerID ? ContainerStatus.ExitCode : undefined
  return {
    taskId: ID,
    ...(Slot === undefined ? {} : { slot: Slot }),
    node: nodeName(NodeID, nodes),
    state: State,
    error: Err || Message || '',
    ...(exitCode === undefined ? {} : { exitCode }),
  }
}
