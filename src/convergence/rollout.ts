// What it takes to know a rollout, and its tasks, again.

import type { Task } from '../swarm/engine-types.ts'
import type { ForceUpdate } from '../swarm/force-update.ts'
import { isMadeOf, madeAt, milliseconds } from './tasks.ts'

/** A write that the engine took: enough to tell what became of it, in any process. */
export interface Rollout {
  /** The image reference exactly as it was written into the spec. */
  readonly image: string
  /** `ForceUpdate` as it was written; `0` where the spec has none. */
  readonly forceUpdate: ForceUpdate
  /** The image that the spec named before, if it is known. */
  readonly previous?: string | undefined
  /**
   * The version index that the write replaced. The engine empties `UpdateStatus` with every write,
   * so what a higher version says is about this rollout or a later one; no clock is asked.
   */
  readonly versionIndex: number
  /** When the engine took the write, by its own clock; RFC 3339. */
  readonly writtenAt: string
}

// `writtenAt` may be read off the service a moment after the write.
const WRITE_SLACK_MS = 1000

/**
 * From when on tasks were made by a rollout.
 *
 * @param rollout The rollout.
 * @returns Milliseconds since 1970, a little before the write.
 */
export function firstMoment({ writtenAt }: Rollout): number {
  return milliseconds(writtenAt) - WRITE_SLACK_MS
}

/**
 * Whether a task was made by a rollout, and not by an earlier one of the same image.
 *
 * @param rollout The rollout.
 * @param task A task of the service.
 * @returns True when image and `ForceUpdate` are the rollout's and the task is new enough.
 */
export function isMadeBy(rollout: Rollout, task: Task): boolean {
  return isMadeOf(rollout, task.Spec) && !(madeAt(task) < firstMoment(rollout))
}
