// How each slot of a service fares, for those who watch a rollout.

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
  /** What went wrong, or what it waits for; absent when all is well. */
  readonly error?: string
}

/**
 * Tells how each slot fares.
 *
 * @param mode The service's mode.
 * @param tasks All tasks of the service.
 * @param nodes The swarm's nodes, for their names, as far as they are known.
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
 * @param jobIteration Which run of a job counts.
 * @returns How many run, and, of a job, how many of this run are complete.
 */
export function countTasks(
  mode: ServiceMode,
  tasks: readonly Task[],
  jobIteration: number,
): { readonly running: number; readonly completed?: number } {
  const isOfRun = ({ JobIteration }: Task): boolean => (JobIteration?.Index ?? 0) === jobIteration
  const counted = isJob(mode) ? tasks.filter(isOfRun) : tasks
  const inState = (state: string): number =>
    counted.filter(({ Status }) => Status.State === state).length
  return { running: inState('running'), ...(isJob(mode) ? { completed: inState('complete') } : {}) }
}
