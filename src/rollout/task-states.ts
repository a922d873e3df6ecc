// The states of a service's tasks, for progress reports and the service status.

import { isJob } from '../convergence/slots.ts'
import { bySlot, newest, nodeName } from '../convergence/tasks.ts'
import type { Node, ServiceMode, Task } from '../swarm/engine-types.ts'

/** The newest task of a slot. */
export interface TaskState {
  readonly taskId: string
  /** Its place in a replicated service; absent in a global one. */
  readonly slot?: number
  /** The node's host name, or its ID; empty while no node took the task. */
  readonly node: string
  readonly image: string
  readonly state: string
  readonly desiredState: string
  /** The error, or what the task waits for; absent without an error. */
  readonly error?: string
}

/**
 * Lists the newest task of each slot.
 *
 * @param mode The service's mode.
 * @param tasks All tasks of the service.
 * @param nodes The swarm's nodes, for their names; undefined: not read.
 * @returns The newest task of each slot, in the order of the slots.
 */
export function taskStates(
  mode: ServiceMode,
  tasks: readonly Task[],
  nodes: readonly Node[] | undefined,
): readonly TaskState[] {
  const global = Boolean(mode.Global ?? mode.GlobalJob)
  return bySlot(tasks, global)
    .flatMap(([, slot]) => newest(slot) ?? [])
    .map(({ ID, Slot, NodeID, Spec, Status, DesiredState }) => ({
      taskId: ID,
      ...(Slot === undefined ? {} : { slot: Slot }),
      node: nodeName(NodeID, nodes),
      image: Spec.ContainerSpec?.Image ?? '',
      state: Status.State,
      desiredState: DesiredState,
      ...(Status.Err ? { error: Status.Err } : {}),
    }))
}

/**
 * Counts a service's tasks.
 *
 * @param mode The service's mode.
 * @param tasks All tasks of the service.
 * @param jobIteration The iteration of a job that counts.
 * @returns How many tasks run, and, for a job, how many tasks of this iteration are complete.
 */
export function countTasks(
  mode: ServiceMode,
  tasks: readonly Task[],
  jobIteration: number,
): { readonly running: number; readonly completed?: number } {
  const isOfIteration = ({ JobIteration }: Task): boolean =>
    (JobIteration?.Index ?? 0) === jobIteration
  const counted = isJob(mode) ? tasks.filter(isOfIteration) : tasks
  const inState = (state: string): number =>
    counted.filter(({ Status }) => Status.State === state).length
  return { running: inState('running'), ...(isJob(mode) ? { completed: inState('complete') } : {}) }
}
