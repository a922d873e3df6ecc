// Judges a rollout by its tasks: while the engine updates, after it has ended, or without update status.

import type { Node, Task, UpdateStatus } from '../swarm/engine-types.ts'
import { countSlots, isJob, type RolloutTarget, type Slot, type SlotCount } from './slots.ts'
import { type Convergence, type ObservedState, pending } from './state.ts'
import { isLostBeforeRunning, isMadeOf, isWanted, milliseconds, nodeName } from './tasks.ts'

// Tasks have no events, so they are read again, less and less often.
const MIN_TASK_POLL_MS = 250
const MAX_TASK_POLL_MS = 5000
// While the engine updates, an event reports the end, unless the engine waits for a task on a lost node.
const MIN_UPDATE_POLL_MS = 30_000
const MAX_UPDATE_POLL_MS = 300_000
// The leader's updater notices a failure a little later, and its clock is not exactly that of Deployer.
const NOTICE_MS = 1000
// How long after a write a global service has no task until there is no node for it.
const NO_TASKS_MS = 2000
const NO_NODE = 'No node meets the constraints of the service, so it has no task'
const PROVES: readonly Slot['state'][] = ['done', 'unproven']

/**
 * Judges while the engine updates or rolls back. An event reports the end.
 *
 * @param target What the tasks are compared with.
 * @param state What is known of the swarm.
 * @param options The update status, and the result if all tasks run.
 * @returns `pending`, unless the engine waits for a task that will never run.
 */
export function judgeInProgress(
  target: RolloutTarget,
  { tasks, nodes }: ObservedState,
  { status, end }: { readonly status: UpdateStatus; readonly end: Convergence },
): Convergence {
  const message = status.Message ?? 'The engine updates the service'
  const waitedMs = Math.max(0, target.now - target.since)
  const readAgainInMs = waitedMs < MIN_UPDATE_POLL_MS ? MIN_UPDATE_POLL_MS - waitedMs : waitedMs
  const inProgress = pending(message, {
    needsTasks: waitedMs >= MIN_UPDATE_POLL_MS || target.updateDelayMs > 0,
    readAgainInMs: Math.min(readAgainInMs, MAX_UPDATE_POLL_MS),
  })
  if (tasks === undefined) {
    return inProgress
  }
  const counts = countSlots(target, tasks, { nodes })
  if (target.updateDelayMs > 0) {
    const leftMs = millisecondsUntilIgnored(target, counts)
    if (leftMs <= 0) {
      return end.state === 'converged' ? { ...end, message: stillWaits(target) } : end
    }
    return {
      ...inProgress,
      message: `${message}: ${describe(counts, { target, nodes })}`,
      progress: progress(counts),
      needsTasks: true,
      readAgainInMs: Number.isFinite(leftMs) ? leftMs : nextPollMs(target),
    }
  }
  // The updater waits for ever for a new task whose node went down before the task ran (20.10; swarmkit,
  // orchestrator/update/updater.go), though another task fills its slot, or no task is needed there.
  const isStuck = tasks.some(
    (task) => isMadeOf(target.target, task.Spec) && isLostBeforeRunning(task, nodes),
  )
  if (isStuck && counts.running >= (counts.desired ?? Number.POSITIVE_INFINITY)) {
    return end
  }
  const text = `${message}: ${describe(counts, { target, nodes })}`
  return { ...inProgress, message: text, progress: progress(counts) }
}

/**
 * How long it takes until the engine ignores a failure of any task, so that it can only complete the update:
 * each task of the new spec has run for the longest monitor period and a second, by the managers' clock.
 */
function millisecondsUntilIgnored(
  { now, longestMonitorMs }: RolloutTarget,
  { slots, desired = Number.POSITIVE_INFINITY }: SlotCount,
): number {
  const runs = slots.every(({ state, task }) => PROVES.includes(state) && isRunning(task))
  if (!runs || slots.length < desired) {
    return Number.POSITIVE_INFINITY
  }
  const startMs = Math.max(...slots.map(({ task }) => milliseconds(task.UpdatedAt)))
  const periodMs = longestMonitorMs + NOTICE_MS
  return Math.min(Math.max(0, Math.ceil(startMs + periodMs - now)), periodMs)
}

function isRunning({ Status }: Task): boolean {
  return Status.State === 'running'
}

function stillWaits({ updateDelayMs }: RolloutTarget): string {
  return `All tasks run; the engine reports the end after its update delay of ${updateDelayMs / 1000} s`
}

/**
 * Judges an update that the engine has paused, of a service whose tasks may end by themselves: the engine
 * takes each end within the monitor period for a failure.
 *
 * @param target What the tasks are compared with.
 * @param state What is known of the swarm.
 * @param options The result if all tasks have run or run, and the one if they do not.
 * @returns One of them, or `pending` while a task that was started before the pause has not ended.
 */
export function judgePaused(
  target: RolloutTarget,
  state: ObservedState,
  { end, paused }: { readonly end: Convergence; readonly paused: Convergence },
): Convergence {
  const verdict = judgeTasks(target, state, { end })
  if (state.tasks === undefined) {
    return verdict
  }
  const { slots, desired = 0 } = countSlots(target, state.tasks, state)
  const mayBeDone =
    target.runsOnce &&
    slots.length > 0 &&
    slots.length >= desired &&
    slots.every(({ task }) => isMadeOf(target.target, task.Spec))
  return mayBeDone && verdict.state !== 'failed' ? verdict : paused
}

/**
 * Judges when the engine has ended the update, possibly too early, or has no update status: the tasks
 * decide.
 *
 * @param target What the tasks are compared with.
 * @param state What is known of the swarm.
 * @param options The result if all tasks run.
 * @returns That result, `failed`, or `pending` with the time of the next reading.
 */
export function judgeTasks(
  target: RolloutTarget,
  { tasks, nodes }: ObservedState,
  { end }: { readonly end: Convergence },
): Convergence {
  if (tasks === undefined) {
    return pending('The tasks are being read', { needsTasks: true })
  }
  const counts = countSlots(target, tasks, { nodes })
  const { slots, running, desired = Number.POSITIVE_INFINITY } = counts
  if (running >= desired) {
    return withWarnings(end, leftWarnings(counts, nodes))
  }
  if (slots.length === 0 && fitsNoNode(target, tasks)) {
    return withWarnings(end, [NO_NODE])
  }
  const message = describe(counts, { target, nodes })
  const unproven = inState(counts, 'unproven')
  // A slot that the service does not need any more may have failed.
  if (inState(counts, 'failed').length > Math.max(0, slots.length - desired)) {
    return { state: 'failed', message }
  }
  const proves = running + unproven.length >= desired
  return pending(message, {
    needsTasks: true,
    progress: progress(counts),
    readAgainInMs: proves ? Math.max(...unproven.map(({ leftMs }) => leftMs)) : nextPollMs(target),
  })
}

function withWarnings(end: Convergence, warnings: readonly string[]): Convergence {
  return end.state === 'converged' && warnings.length > 0 ? { ...end, warnings } : end
}

function leftWarnings({ left }: SlotCount, nodes: readonly Node[] | undefined): readonly string[] {
  return left.map(({ NodeID, Spec }) => {
    const image = Spec.ContainerSpec?.Image ?? 'its spec'
    return `Node ${nodeName(NodeID, nodes)} is paused: its task was left as it is, with ${image}`
  })
}

/**
 * The engine creates the tasks of a global service at once. Without any, no node meets the constraints.
 * Tasks on nodes that are down are no such case.
 */
function fitsNoNode({ mode, now, since }: RolloutTarget, tasks: readonly Task[]): boolean {
  return mode.Global !== undefined && !tasks.some(isWanted) && now - since >= NO_TASKS_MS
}

function nextPollMs({ now, since, endedAt }: RolloutTarget): number {
  const waitedMs = now - (Number.isNaN(endedAt) ? since : endedAt)
  return Math.min(Math.max(Math.round(waitedMs), MIN_TASK_POLL_MS), MAX_TASK_POLL_MS)
}

function describe(
  counts: SlotCount,
  {
    target,
    nodes,
  }: { readonly target: RolloutTarget; readonly nodes: readonly Node[] | undefined },
): string {
  const { running, desired } = counts
  if (desired === undefined) {
    return 'no node has a task of the service'
  }
  const count = `${running} of ${desired} tasks ${isJob(target.mode) ? 'are complete' : 'run'}`
  const states = ['failed', 'waiting', 'unproven'] as const
  const blockers = states.flatMap((state) => inState(counts, state))
  // A task with an error explains more than a task that has not been started yet.
  const blocker = blockers.find(({ task }) => task.Status.Err) ?? blockers[0]
  if (blocker === undefined) {
    return count
  }
  const { Slot, NodeID, Status } = blocker.task
  const isOnNode = Slot === undefined && NodeID
  const place = isOnNode ? `on node ${nodeName(NodeID, nodes)}` : `in slot ${Slot ?? 0}`
  return `${count}; the task ${place} is ${Status.State}${Status.Err ? `: ${Status.Err}` : ''}`
}

function inState({ slots }: SlotCount, state: Slot['state']): readonly Slot[] {
  return slots.filter((slot) => slot.state === state)
}

function progress({ running, desired = 0 }: SlotCount): { running: number; desired: number } {
  return { running, desired }
}
