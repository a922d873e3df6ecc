// What the tasks make of an update that the engine is at, or has ended, or never speaks of.

import type { Node, UpdateStatus } from '../swarm/engine-types.ts'
import { countSlots, isJob, type RolloutTarget, type Slot, type SlotCount } from './slots.ts'
import { type Convergence, type ObservedState, pending } from './state.ts'
import { isLostOnTheWay, isMadeOf, nodeName } from './tasks.ts'

// Tasks have no events: who waits for one looks again, less and less often.
const MIN_LOOK_MS = 250
const MAX_LOOK_MS = 5000
// While the engine is at work its events tell of the end, unless it waits for a task on a lost node.
const MIN_DOUBT_MS = 30_000
const MAX_DOUBT_MS = 300_000

/**
 * Judges while the engine is at work; it will tell of the end.
 *
 * @param aim What the tasks are held against.
 * @param sight What is known of the swarm.
 * @param options The engine's word, and the end that is hoped for.
 * @returns `pending`, unless the engine waits for nothing.
 */
export function judgeUnderWay(
  aim: RolloutTarget,
  { tasks, nodes }: ObservedState,
  { status, end }: { readonly status: UpdateStatus; readonly end: Convergence },
): Convergence {
  const message = status.Message ?? 'The engine is at work'
  const waitedMs = Math.max(0, aim.now - aim.since)
  const lookAgainInMs = waitedMs < MIN_DOUBT_MS ? MIN_DOUBT_MS - waitedMs : waitedMs
  const inProgress = pending(message, {
    needsTasks: waitedMs >= MIN_DOUBT_MS,
    lookAgainInMs: Math.min(lookAgainInMs, MAX_DOUBT_MS),
  })
  if (tasks === undefined) {
    return inProgress
  }
  const counts = countSlots(aim, tasks, { nodes })
  // The updater waits for ever for a new task whose node went down before it ran (20.10; swarmkit,
  // orchestrator/update/updater.go), though its slot is filled elsewhere, or needs no filling.
  const isStuck = tasks.some(
    (task) => isMadeOf(aim.target, task.Spec) && isLostOnTheWay(task, nodes),
  )
  if (isStuck && counts.running >= (counts.desired ?? Number.POSITIVE_INFINITY)) {
    return end
  }
  const text = `${message}: ${describe(counts, { aim, nodes })}`
  return { ...inProgress, message: text, progress: progress(counts) }
}

/**
 * Judges when the engine has said its word, too early perhaps, or never will: the tasks decide.
 *
 * @param aim What the tasks are held against.
 * @param sight What is known of the swarm.
 * @param options The end that is hoped for.
 * @returns That end, `failed`, or `pending` with the time to look again.
 */
export function judgeTasks(
  aim: RolloutTarget,
  { tasks, nodes }: ObservedState,
  { end }: { readonly end: Convergence },
): Convergence {
  if (tasks === undefined) {
    return pending('The tasks have to tell', { needsTasks: true })
  }
  const counts = countSlots(aim, tasks, { nodes })
  const { running, desired = Number.POSITIVE_INFINITY } = counts
  if (running >= desired) {
    return end
  }
  const message = describe(counts, { aim, nodes })
  if (inState(counts, 'failed').length > 0) {
    return { state: 'failed', message }
  }
  const unproven = inState(counts, 'unproven')
  const proves = running + unproven.length >= desired
  return pending(message, {
    needsTasks: true,
    progress: progress(counts),
    lookAgainInMs: proves ? Math.max(...unproven.map(({ leftMs }) => leftMs)) : untilNextLook(aim),
  })
}

function untilNextLook({ now, since, endedAt }: RolloutTarget): number {
  const waitedMs = now - (Number.isNaN(endedAt) ? since : endedAt)
  return Math.min(Math.max(Math.round(waitedMs), MIN_LOOK_MS), MAX_LOOK_MS)
}

function describe(
  counts: SlotCount,
  { aim, nodes }: { readonly aim: RolloutTarget; readonly nodes: readonly Node[] | undefined },
): string {
  const { running, desired } = counts
  if (desired === undefined) {
    return 'no node has a task of the service'
  }
  const count = `${running} of ${desired} tasks ${isJob(aim.mode) ? 'are complete' : 'run'}`
  const states = ['failed', 'waiting', 'unproven'] as const
  const blockers = states.flatMap((state) => inState(counts, state))
  // A task that says why it waits tells more than one whose turn has not come.
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
