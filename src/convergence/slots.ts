// How far the tasks of a service have come, slot by slot.

import type { Node, ServiceMode, Task } from '../swarm/engine-types.ts'
import {
  bySlot,
  isCounted,
  isFailure,
  isLost,
  isMadeOf,
  isOfJob,
  isWanted,
  lowest,
  madeAt,
  milliseconds,
  newest,
  type TaskTarget,
} from './tasks.ts'

/** What the tasks are held against, and how patiently. All times are milliseconds since 1970. */
export interface RolloutTarget {
  readonly target: TaskTarget
  readonly mode: ServiceMode
  /** The run of a job that counts. */
  readonly jobIteration: number
  /** Failures of tasks that were made earlier belong to an earlier rollout. */
  readonly since: number
  /** When the engine said that it was done; NaN: it said nothing. */
  readonly endedAt: number
  /** Tasks that ran by then without a failure need no more watching; NaN: none. */
  readonly watchedUntil: number
  /** How long any other task must have run. */
  readonly monitorMs: number
  readonly now: number
}

/** What has become of one slot. */
export interface Slot {
  /**
   * `done`: it runs, or its job is complete. `unproven`: it runs, but not yet long enough.
   * `waiting`: its task is on the way. `failed`: its tasks fail, and nothing better is to come.
   */
  readonly state: 'done' | 'unproven' | 'waiting' | 'failed'
  /** The task that tells why. */
  readonly task: Task
  /** How long an unproven task still has to run; 0 for the others. */
  readonly leftMs: number
}

/** All of a service's slots together. */
export interface SlotCount {
  readonly slots: readonly Slot[]
  /** How many slots are done. */
  readonly running: number
  /** How many of them there must be; undefined: nobody knows before there are tasks. */
  readonly desired: number | undefined
}

// Where the engine watches no more, after a foreign change of a label, it starts failing tasks again
// and again without a word. So many failures in one slot are enough; it keeps five tasks of a slot.
const ENOUGH_FAILURES = 3

/**
 * Holds a service's tasks against an aim.
 *
 * @param aim What is wanted of them.
 * @param tasks The service's tasks, earlier ones too.
 * @param nodes The swarm's nodes; undefined: all of them count.
 * @returns The slots that somebody wants, each with its state.
 */
export function countSlots(
  aim: RolloutTarget,
  tasks: readonly Task[],
  { nodes }: { readonly nodes?: readonly Node[] | undefined } = {},
): SlotCount {
  const { mode } = aim
  const job = isJob(mode)
  const counted = tasks.filter(
    (task) =>
      isCounted(task) &&
      (!job || isOfRun(aim, task)) &&
      (!isLost(task.NodeID, nodes) || (job && hasEnded(task))),
  )
  const slots = bySlot(counted, isGlobal(mode))
    .map(([, slot]) => (job ? jobSlot(slot) : serviceSlot(aim, slot)))
    .filter((slot) => slot !== undefined)
  const running = slots.filter(({ state }) => state === 'done').length
  // The orchestrator makes the tasks of a global service all at once (Docker CLI counts so too).
  const desired = wantedTasks(mode) ?? (slots.length === 0 ? undefined : slots.length)
  return { slots, running, desired }
}

/**
 * Whether a service's tasks are to come to an end.
 *
 * @param mode The service's mode.
 * @returns True for jobs of both kinds.
 */
export function isJob(mode: ServiceMode): boolean {
  return Boolean(mode.ReplicatedJob ?? mode.GlobalJob)
}

/**
 * How many tasks a service's spec asks for.
 *
 * @param mode The service's mode.
 * @returns The number; undefined where the nodes decide.
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

/** The engine leaves out an index of 0, the first run's. */
function isOfRun({ jobIteration }: RolloutTarget, task: Task): boolean {
  return isOfJob(task) && (task.JobIteration?.Index ?? 0) === jobIteration
}

function hasEnded(task: Task): boolean {
  return isFailure(task) || task.Status.State === 'complete'
}

/** Undefined: nobody wants a task here, and none of this rollout failed. */
function serviceSlot(aim: RolloutTarget, tasks: readonly Task[]): Slot | undefined {
  const isOurs = ({ Spec }: Task): boolean => isMadeOf(aim.target, Spec)
  const wanted = tasks.filter(isWanted)
  const failures = tasks.filter((task) => isOurs(task) && hasFailedRollout(aim, task))
  const [task, failure] = [lowest(wanted), newest(failures)]
  if (task === undefined) {
    return failure && slot('failed', failure)
  }
  if (!wanted.every(isOurs)) {
    return slot('waiting', lowest(wanted.filter(isOurs)) ?? task)
  }
  const start = task.Status.State === 'running' ? changedAt(task) : undefined
  if (failure !== undefined && isGivenUp(aim, start, { failures: failures.length })) {
    return slot('failed', failure)
  }
  if (start === undefined) {
    return slot('waiting', task)
  }
  const isWatched = failure === undefined && start <= aim.watchedUntil
  const leftMs = isWatched ? 0 : millisecondsToProve(aim, start)
  return leftMs === 0 ? slot('done', task) : { state: 'unproven', task, leftMs }
}

/** A task that was there at the engine's end and outlived the watch failed for later reasons. */
function hasFailedRollout({ since, endedAt, monitorMs }: RolloutTarget, task: Task): boolean {
  if (!isFailure(task) || madeAt(task) < since) {
    return false
  }
  const outlived = madeAt(task) <= endedAt && changedAt(task) > endedAt + monitorMs
  return !outlived
}

/** What ran at the engine's end may still prove itself; what did not run then has failed. */
function isGivenUp(
  { endedAt }: RolloutTarget,
  start: number | undefined,
  { failures }: { readonly failures: number },
): boolean {
  return Number.isNaN(endedAt)
    ? failures >= ENOUGH_FAILURES
    : start === undefined || start > endedAt
}

/** A job's slot is done with its first complete task; tasks fail and start again until then. */
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

/** When the task came into its state. */
function changedAt(task: Task): number {
  // The node's clock may go fast; what the managers last wrote down bounds it.
  const times = [task.Status.Timestamp, task.UpdatedAt].map(milliseconds)
  return Math.min(...times.filter((time) => !Number.isNaN(time)))
}

function slot(state: Exclude<Slot['state'], 'unproven'>, task: Task): Slot {
  return { state, task, leftMs: 0 }
}
