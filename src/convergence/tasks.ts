// Facts about single tasks and nodes: what a task was created from, its state, its slot, its node.

import type { Node, Task, TaskSpec } from '../swarm/engine-types.ts'
import { type ForceUpdate, forceUpdateOf } from '../swarm/force-update.ts'

/** What the tasks of a rollout are created from. */
export interface TaskTarget {
  /** The image, spelled as the spec spells it. */
  readonly image: string | undefined
  readonly forceUpdate: ForceUpdate
}

// Docker CLI's order (cli/command/service/progress/progress.go, numberedStates). It ignores tasks in any
// other state: `orphaned`, `remove`, and states that future engines may add.
const ORDER: readonly string[] = [
  'new',
  'allocated',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
  'running',
  'complete',
  'shutdown',
  'failed',
  'rejected',
]
const RANKS: ReadonlyMap<string, number> = new Map(ORDER.map((state, index) => [state, index]))

/**
 * Reads one of the engine's times.
 *
 * @param time RFC 3339, if the engine gave one.
 * @returns Milliseconds since 1970, or NaN, which is neither before nor after anything.
 */
export function milliseconds(time: string | null | undefined): number {
  return Date.parse(time ?? '')
}

/**
 * Gets what the tasks of a spec are created from.
 *
 * @param spec The template of a service's tasks, or a task's own spec.
 * @returns Image and `ForceUpdate`.
 */
export function taskTargetOf(spec: TaskSpec): TaskTarget {
  return { image: spec.ContainerSpec?.Image, forceUpdate: forceUpdateOf(spec) }
}

/**
 * Whether the tasks of a spec are those of a rollout.
 *
 * @param target What the tasks of the rollout are created from.
 * @param spec The template of a service's tasks, or a task's own spec.
 * @returns True when the image is spelled the same and `ForceUpdate` is the same.
 */
export function isMadeOf(target: TaskTarget, spec: TaskSpec): boolean {
  const { image, forceUpdate } = taskTargetOf(spec)
  return image === target.image && forceUpdate === target.forceUpdate
}

/**
 * Whether Docker's CLI counts a task at all.
 *
 * @param task Any task.
 * @returns False when its state, or its desired state, is not in the CLI's order.
 */
export function isCounted(task: Task): boolean {
  return rank(task.DesiredState) >= 0 && rank(task.Status.State) >= 0
}

/**
 * Whether the managers want a task to run.
 *
 * @param task Any task.
 * @returns True for a desired state up to `running`, or up to `complete`, which only tasks of jobs have.
 */
export function isWanted(task: Task): boolean {
  return rank(task.DesiredState) <= rank('complete')
}

/**
 * Whether a task has failed. The engine ends tasks whose health check never passes as `complete`, which
 * is a success only for a job.
 *
 * @param task Any task.
 * @returns True for `failed` and `rejected`, and for `complete` unless the task is a job's.
 */
export function isFailure(task: Task): boolean {
  const { State } = task.Status
  return State === 'failed' || State === 'rejected' || (State === 'complete' && !isOfJob(task))
}

/**
 * Finds the task that represents a slot, by Docker CLI's rule: the one with the lowest desired state, and
 * of several the one with the lowest state. So a start-first update waits for the new task.
 *
 * @param tasks The tasks of one slot.
 * @returns The task; undefined when there is none.
 */
export function lowest(tasks: readonly Task[]): Task | undefined {
  return first(
    tasks,
    (one, other) =>
      rank(one.DesiredState) - rank(other.DesiredState) ||
      rank(one.Status.State) - rank(other.Status.State) ||
      newestFirst(one, other),
  )
}

/**
 * Finds the task that was created last.
 *
 * @param tasks Any tasks.
 * @returns The newest; undefined when there is none.
 */
export function newest(tasks: readonly Task[]): Task | undefined {
  return first(tasks, newestFirst)
}

/**
 * Groups tasks by the slots of a service. A global service has a slot for each node.
 *
 * @param tasks Tasks of one service.
 * @param global Whether the service is global.
 * @returns The tasks by slot number or node ID, in the order of slots or nodes.
 */
export function bySlot(
  tasks: readonly Task[],
  global: boolean,
): readonly (readonly [place: number | string, tasks: readonly Task[]])[] {
  const slots = new Map<number | string, Task[]>()
  for (const task of tasks) {
    // The engine omits slot 0, which is the first of a replicated job.
    const place = global ? (task.NodeID ?? '') : (task.Slot ?? 0)
    const slot = slots.get(place)
    if (slot === undefined) {
      slots.set(place, [task])
    } else {
      slot.push(task)
    }
  }
  return [...slots].sort(([one], [other]) => (one < other ? -1 : 1))
}

/**
 * Whether the tasks of a node do not count, because it is down, drained or no longer in the swarm.
 *
 * @param nodeId The node of a task; empty or absent for a task without a node.
 * @param nodes The swarm's nodes; undefined: not read, and so all of them count.
 * @returns True when the node is known to be unavailable.
 */
export function isLost(nodeId: string | undefined, nodes: readonly Node[] | undefined): boolean {
  if (nodes === undefined || nodeId === undefined || nodeId === '') {
    return false
  }
  const node = findNode(nodeId, nodes)
  return node === undefined || node.Status?.State === 'down' || node.Spec?.Availability === 'drain'
}

/**
 * Whether the node of a task is paused, so that it takes no new tasks.
 *
 * @param nodeId The node of a task; empty or absent for a task without a node.
 * @param nodes The swarm's nodes; undefined: not read, and none is paused.
 * @returns True when the node is known to be paused.
 */
export function isOnPausedNode(
  nodeId: string | undefined,
  nodes: readonly Node[] | undefined,
): boolean {
  return nodes !== undefined && findNode(nodeId ?? '', nodes)?.Spec?.Availability === 'pause'
}

/**
 * Whether the node of a task was lost before the task ran, so that its state does not change any more.
 *
 * @param task Any task.
 * @param nodes The swarm's nodes, as {@link isLost} has them.
 * @returns True when the task has not run yet and its node is lost.
 */
export function isLostBeforeRunning(task: Task, nodes: readonly Node[] | undefined): boolean {
  return rank(task.Status.State) < rank('running') && isLost(task.NodeID, nodes)
}

/**
 * Gets the name of a node for people.
 *
 * @param nodeId The node of a task; empty or absent for a task without a node.
 * @param nodes The swarm's nodes; undefined: not read.
 * @returns Its host name, or else its ID; empty for a task without a node.
 */
export function nodeName(nodeId: string | undefined, nodes: readonly Node[] | undefined): string {
  const node = nodes === undefined ? undefined : findNode(nodeId ?? '', nodes)
  return node?.Description?.Hostname || (nodeId ?? '')
}

/**
 * Gets the time when a task was created, by the managers' clock.
 *
 * @param task Any task.
 * @returns Milliseconds since 1970.
 */
export function createdAt(task: Task): number {
  return milliseconds(task.CreatedAt)
}

/**
 * Whether a task belongs to a job.
 *
 * @param task Any task.
 * @returns True when it belongs to an iteration of a job.
 */
export function isOfJob(task: Task): boolean {
  return task.JobIteration !== undefined && task.JobIteration !== null
}

const indexes = new WeakMap<readonly Node[], ReadonlyMap<string, Node>>()

/** To search the list for each of thousands of tasks would block the process. */
function findNode(nodeId: string, nodes: readonly Node[]): Node | undefined {
  const index = indexes.get(nodes) ?? new Map(nodes.map((node) => [node.ID, node]))
  indexes.set(nodes, index)
  return index.get(nodeId)
}

function newestFirst(one: Task, other: Task): number {
  return createdAt(other) - createdAt(one) || (one.ID < other.ID ? -1 : 1)
}

/** Finds the first one by an order, without sorting the others. */
function first(
  tasks: readonly Task[],
  order: (one: Task, other: Task) => number,
): Task | undefined {
  let [found] = tasks
  for (const task of tasks) {
    found = found !== undefined && order(found, task) <= 0 ? found : task
  }
  return found
}

function rank(state: string): number {
  return RANKS.get(state) ?? -1
}
