// A rollout: one write of a service, and how to recognise its tasks.

import type { Task, WatchedService } from '../swarm/engine-types.ts'
import type { ForceUpdate } from '../swarm/force-update.ts'
import { createdAt, isMadeOf, milliseconds, type TaskTarget } from './tasks.ts'

/** One accepted write of a service. It holds all that is needed to judge the rollout, in any process. */
export interface Rollout {
  /** The image reference exactly as it was written into the spec. */
  readonly image: string
  /** `ForceUpdate` as it was written; `0` where the spec has none. */
  readonly forceUpdate: ForceUpdate
  /** The previous image of the spec, if it is known. */
  readonly previous?: string | undefined
  /**
   * The version index that the write replaced. The engine clears `UpdateStatus` with every write, so the
   * status at a higher version is that of this rollout or a later one; no clock is needed.
   */
  readonly versionIndex: number
  /** When the engine accepted the write, by its own clock; RFC 3339. */
  readonly writtenAt: string
  /** Whether nothing was written: the service is observed from then on. Default: it was written. */
  readonly isObserved?: boolean
}

// `writtenAt` may have been read from the service a moment after the write.
const WRITE_SLACK_MS = 1000

// How far the clock of the manager that was asked may be ahead of the leader's.
const CLOCK_DIFFERENCE_MS = 10_000

/**
 * Corrects the time of a write by the clock of the managers' leader, of which the times of tasks are too. A
 * manager whose clock is ahead would make the tasks of the rollout look older than their write. The opposite
 * cannot be told from a later update of the same spec, and does no harm.
 *
 * @param rollout The rollout.
 * @param service The service, as it was read after the write.
 * @returns The rollout, written no later than the engine started its update.
 */
export function onLeadersClock(
  rollout: Rollout,
  { Version, UpdateStatus }: WatchedService,
): Rollout {
  const { StartedAt } = UpdateStatus ?? {}
  const aheadMs = milliseconds(rollout.writtenAt) - milliseconds(StartedAt)
  const isAhead = aheadMs > 0 && aheadMs <= CLOCK_DIFFERENCE_MS
  return StartedAt && isAhead && Version.Index > rollout.versionIndex && !rollout.isObserved
    ? { ...rollout, writtenAt: StartedAt }
    : rollout
}

/**
 * Gets the earliest time at which tasks of a rollout can have been created.
 *
 * @param rollout The rollout.
 * @returns Milliseconds since 1970, a little before the write.
 */
export function earliestTaskMs({ writtenAt }: Pick<Rollout, 'writtenAt'>): number {
  return milliseconds(writtenAt) - WRITE_SLACK_MS
}

/**
 * Whether a task belongs to a rollout, and not to an earlier one of the same image.
 *
 * @param rollout The rollout, or another spec since its write, such as the one before it.
 * @param task A task of the service.
 * @returns True when image and `ForceUpdate` are those of the rollout and the task is new enough.
 */
export function isMadeBy(rollout: TaskTarget & Pick<Rollout, 'writtenAt'>, task: Task): boolean {
  return isMadeOf(rollout, task.Spec) && !(createdAt(task) < earliestTaskMs(rollout))
}
