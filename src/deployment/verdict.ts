// What can become of a deployment, and what a caller is told of it.

import type { FailedTask } from '../convergence/evidence.ts'

/** The end of a deployment. */
export type EndVerdict =
  /** The service ran that very image already; nothing was written. */
  | 'unchanged'
  /** The new tasks run. */
  | 'converged'
  /** The engine went back to the image before, whose tasks run. */
  | 'rolled-back'
  /** The engine stopped half way, and waits for somebody to do something. */
  | 'paused'
  /** It ended, but not with what was asked for. */
  | 'failed'
  /** It was still not done after the time that a rollout may take. */
  | 'timed-out'
  /** A later write took its place. */
  | 'superseded'
  /** The service is gone. */
  | 'removed'
  /** Nobody can know any more. */
  | 'unknown'

/** What is said of a deployment; two of them are no end. */
export type Verdict =
  | EndVerdict
  /** The engine wrote it down, and the caller does not wait. */
  | 'accepted'
  /** The rollout is under way. */
  | 'pending'

/** Every end that a deployment can have. */
export const endVerdicts: readonly EndVerdict[] = [
  'unchanged',
  'converged',
  'rolled-back',
  'paused',
  'failed',
  'timed-out',
  'superseded',
  'removed',
  'unknown',
]

/** A failed task, and what it wrote last. */
export interface TaskEvidence extends FailedTask {
  /** Its last lines, at most 20 and 2 KiB; absent where there are none, or none are wanted. */
  readonly log?: string
}

/** How a deployment ended. */
export interface Outcome {
  readonly verdict: EndVerdict
  /** When Deployer knew it, by the engine's clock; RFC 3339. */
  readonly endedAt: string
  /** Why, in the engine's words where it has some. */
  readonly message?: string
  /** The failed tasks, where something failed. */
  readonly tasks?: readonly TaskEvidence[]
  /** Why `tasks` has no log lines, where that depends on the image. */
  readonly logsWithheld?: string
}
