// The state of each slot of a service during a rollout.

import type { Node, ServiceMode, Task } from '../swarm/engine-types.ts'
import { isFinished } from './one-shot.ts'
import {
  bySlot,
  createdAt,
  isCounted,
  isFailure,
  isLost,
  isMadeOf,
  isOfJob,
  isOnPausedNode,
  isWanted,
  lowest,
  milliseconds,
  newest,
  type TaskTarget,
} from './tasks.ts'
import type { Timing } from './timing.ts'

/** What the tasks are compared with. All times are milliseconds since 1970. */
export interface RolloutTarget extends Timing {
  readonly target: TaskTarget
  readonly mode: ServiceMode
  /** The iteration of a job that counts. */
  readonly jobIteration: number
  /** Failures of tasks that were created earlier belong to an earlier rollout. */
  readonly since: number
  /** Whether nothing was written, so that what had ended before counts where nothing restarts it. */
  readonly isObserved: boolean
  /** Whether a task that ended with exit code 0 is a success; see `runsOnce` in `one-shot.ts`. */
  readonly runsOnce: boolean
  /**
   * When the engine ended the update; NaN: not reported. Tasks that had run for the monitor period by then,
   * without a failure, were monitored by the engine.
   */
  readonly endedAt: number
  readonly now: number
}

/** The state of one slot. */
export interface Slot {
  /**
   * `done`: its task runs, or is complete in a job or in a service that runs once. `unproven`: its task has not run long enough yet.
   * `waiting`: its task does not run yet. `failed`: its tasks fail, and no better result is expected.
   */
  readonly state: 'done' | 'unproven' | 'waiting' | 'failed'
  /** The task that is the reason for the state. */
  readonly task: Task
  /** How much longer an unproven task has to run, in milliseconds; 0 in other states. */
  readonly leftMs: number
}

/** All of a service's slots together. */
export interface SlotCount {
  readonly slots: readonly Slot[]
  /** How many slots are done. */
  readonly running: number
  /** How many slots there must be; undefined for a global service without tasks. */
  readonly desired: number | undefined
  /** Old tasks of a global service that the engine leaves as they are, because their nodes are paused. */
  readonly left: readonly Task[]
}

// After a change of a label by another client, the engine no longer monitors the update and restarts
// failing tasks for ever. So many failures in one slot are enough; the engine keeps five tasks of a slot.
const ENOUGH_FAILURES = 3

/**
 * Compares the tasks of a service with the target of a rollout.
 *
 * @param target The target.
 * @param tasks All tasks of the service, including those of earlier rollouts.
 * @param nodes The swarm's nodes; undefined: all of them count.
 * @returns The slots that the service needs, each with its state.
 */
export function countSlots(
  target: RolloutTarget,
  tasks: readonly Task[],
  { nodes }: { readonly nodes?: readonly Node[] | undefined } = {},
): SlotCount {
  const { mode } = target
  const job = isJob(mode)
  const counted = tasks.filter(
    (task) =>
      isCounted(task) &&
      (!job || isOfIteration(target, task)) &&
      (!isLost(task.NodeID, nodes) || (job && hasEnded(task))),
  )
  const places = bySlot(counted, isGlobal(mode)).map(([, slot]) => slot)
  const isLeft = (slot: readonly Task[]): boolean =>
    mode.Global !== undefined && isLeftAsItIs(target, slot, nodes)
  const slots = places
    .filter((slot) => !isLeft(slot))
    .map((slot) => (job ? jobSlot(slot) : serviceSlot(target, slot)))
    .filter((slot) => slot !== undefined)
  const left = places.filter(isLeft).flatMap((slot) => lowest(slot.filter(isWanted)) ?? [])
  const running = slots.filter(({ state }) => state === 'done').length
  // The orchestrator creates all tasks of a global service at once (Docker CLI counts them the same way).
  const isUnknown = slots.length === 0 && left.length === 0
  const desired = wantedTasks(mode) ?? (isUnknown ? undefined : slots.length)
  return { slots, running, desired, left }
}

/** The engine neither starts nor updates tasks of a global service on a node that is paused. */
function isLeftAsItIs(
  { target }: RolloutTarget,
  tasks: readonly Task[],
  nodes: readonly Node[] | undefined,
): boolean {
  return tasks.every((task) => !isMadeOf(target, task.Spec) && isOnPausedNode(task.NodeID, nodes))
}

/**
 * Whether a service is a job, whose tasks run to completion.
 *
 * @param mode The service's mode.
 * @returns True for jobs of both kinds.
 */
export function isJob(mode: ServiceMode): boolean {
  return Boolean(mode.ReplicatedJob ?? mode.GlobalJob)
}

/**
 * Gets how many tasks the spec of a service asks for.
 *
 * @param mode The service's mode.
 * @returns The number; undefined where it depends on the nodes.
 */
export function wantedTasks(mode: ServiceMode): number | undefined {
  if (isGlobal(mode)) {
    return undefined
  }
  const { Replicated, ReplicatedJob } = mode
  return ReplicatedJob
    ? (ReplicatedJob.TotalCompletions ?? ReplicatedJob.MaxConcurrent ?? 1)
    : (Replicated?.Replicas ?? 1)
}

function isGlobal(mode: ServiceMode): boolean {
  return Boolean(mode.Global ?? mode.GlobalJob)
}

/** The engine omits an index of 0, which is that of the first iteration. */
function isOfIteration({ jobIteration }: RolloutTarget, task: Task): boolean {
  return isOfJob(task) && (task.JobIteration?.Index ?? 0) === jobIteration
}

function hasEnded(task: Task): boolean {
  return isFailure(task) || task.Status.State === 'complete'
}

/** Undefined: the slot needs no task, and no task of this rollout failed in it. */
function serviceSlot(target: RolloutTarget, tasks: readonly Task[]): Slot | undefined {
  const isOwn = ({ Spec }: Task): boolean => isMadeOf(target.target, Spec)
  const wanted = tasks.filter(isWanted)
  const ended = tasks.filter((task) => isOwn(task) && isFailure(task))
  const failures = ended.filter((task) => hasFailedRollout(target, task))
  const [task, failure] = [lowest(wanted), newest(failures)]
  if (task === undefined) {
    return endedSlot(target, tasks, { failure })
  }
  if (!wanted.every(isOwn)) {
    return slot('waiting', lowest(wanted.filter(isOwn)) ?? task)
  }
  const start = runsSince(task)
  const hasSurvivor = ended.some((task) => hasSurvivedRollout(target, task))
  if (failure !== undefined && isGivenUp(target, start, { failures, hasSurvivor })) {
    return slot('failed', failure)
  }
  if (start === undefined) {
    return slot('waiting', task)
  }
  // The engine ends an update a monitor period after the last new task runs. One that has started since
  // replaces a task that has failed, which the swarm may have forgotten.
  const wasMonitored = failure === undefined && start <= target.endedAt - target.monitorMs
  const leftMs = wasMonitored ? 0 : millisecondsToProve(target, start)
  return leftMs === 0 ? slot('done', task) : { state: 'unproven', task, leftMs }
}

/** Nothing restarts the last task of the slot. */
function endedSlot(
  target: RolloutTarget,
  tasks: readonly Task[],
  { failure }: { readonly failure: Task | undefined },
): Slot | undefined {
  const last = newest(tasks.filter(({ Spec }) => isMadeOf(target.target, Spec)))
  if (last !== undefined && last === newest(tasks)) {
    if (target.runsOnce && isFinished(last)) {
      return slot('done', last)
    }
    if (target.isObserved && isFailure(last)) {
      return slot('failed', last)
    }
  }
  return failure && slot('failed', failure)
}

function hasFailedRollout(target: RolloutTarget, task: Task): boolean {
  return createdAt(task) >= target.since && !hasSurvivedRollout(target, task)
}

/**
 * Whether a task that has failed lived through the rollout before: it existed when the engine ended the
 * update, or was on its way as the replacement of a failed one, and failed after the monitor period.
 */
function hasSurvivedRollout(target: RolloutTarget, task: Task): boolean {
  const { endedAt, monitorMs, restartDelayMs } = target
  const existed = createdAt(task) <= endedAt
  const wasOnItsWay = createdAt(task) <= endedAt + restartDelayMs
  const provenAt = existed ? endedAt + monitorMs : lastChance(target)
  return createdAt(task) >= target.since && wasOnItsWay && changedAt(task) > provenAt
}

/**
 * A task that replaces one that failed before the engine ended the update may still succeed. Any other
 * failure is final: the engine monitors nothing any more, and restarts failing tasks for ever.
 */
function isGivenUp(
  target: RolloutTarget,
  start: number | undefined,
  { failures, hasSurvivor }: { readonly failures: readonly Task[]; readonly hasSurvivor: boolean },
): boolean {
  if (Number.isNaN(target.endedAt)) {
    return failures.length >= ENOUGH_FAILURES
  }
  if (failures.some((task) => changedAt(task) >= target.endedAt)) {
    return true
  }
  return !hasSurvivor && (start ?? target.now) > lastChance(target)
}

/** By when the replacement of a task that failed during the update must run. */
function lastChance({ endedAt, restartDelayMs, monitorMs }: RolloutTarget): number {
  return endedAt + restartDelayMs + monitorMs
}

function runsSince(task: Task): number | undefined {
  return task.Status.State === 'running' ? changedAt(task) : undefined
}

/** The slot of a job is done with its first complete task. Until then failed tasks are restarted. */
function jobSlot(tasks: readonly Task[]): Slot | undefined {
  const complete = tasks.find(({ Status }) => Status.State === 'complete')
  if (complete !== undefined) {
    return slot('done', complete)
  }
  const wanted = lowest(tasks.filter(isWanted))
  if (wanted !== undefined) {
    return slot('waiting', wanted)
  }
  const failure = newest(tasks.filter(isFailure))
  return failure && slot('failed', failure)
}

function millisecondsToProve({ monitorMs, now }: RolloutTarget, start: number): number {
  return Math.min(Math.max(0, Math.ceil(start + monitorMs - now)), monitorMs)
}

/** When the task entered its state. */
function changedAt(task: Task): number {
  // The node's clock may be fast; the time of the last change by the managers is an upper bound.
  const times = [task.Status.Timestamp, task.UpdatedAt].map(milliseconds)
  return Math.min(...times.filter((time) => !Number.isNaN(time)))
}

function slot(state: Exclude<Slot['state'], 'unproven'>, task: Task): Slot {
  return { state, task, leftMs: 0 }
}
