// Judges a rollout by its tasks: while the engine updates, after it has ended, or without update status.

import type { Node, UpdateStatus } from '../swarm/engine-types.ts'
import { countSlots, isJob, type RolloutTarget, type Slot, type SlotCount } from './slots.ts'
import { type Convergence, type ObservedState, pending } from './state.ts'
import { isLostBeforeRunning, isMadeOf, nodeName } from './tasks.ts'

// Tasks have no events, so they are read again, less and less often.
const MIN_TASK_POLL_MS = 250
const MAX_TASK_POLL_MS = 5000
// While the engine updates, an event reports the end, unless the engine waits for a task on a lost node.
const MIN_UPDATE_POLL_MS = 30_000
const MAX_UPDATE_POLL_MS = 300_000

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
    needsTasks: waitedMs >= MIN_UPDATE_POLL_MS,
    readAgainInMs: Math.min(readAgainInMs, MAX_UPDATE_POLL_MS),
  })
  if (tasks === undefined) {
    return inProgress
  }
  const counts = countSlots(target, tasks, { nodes })
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
  const { running, desired = Number.POSITIVE_INFINITY } = counts
  if (running >= desired) {
    return end
  }
  const message = describe(counts, { target, nodes })
  const unproven = inState(counts, 'unproven')
  // A slot that the service does not need any more may have failed.
  const proves = running + unproven.length >= desired
  if (!proves && inState(counts, 'failed').length > 0) {
    return { state: 'failed', message }
  }
  return pending(message, {
    needsTasks: true,
    progress: progress(counts),
    readAgainInMs: proves ? Math.max(...unproven.map(({ leftMs }) => leftMs)) : nextPollMs(target),
  })
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
