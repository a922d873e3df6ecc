// The verdicts of a deployment, and its outcome.

import type { FailedTask } from '../convergence/evidence.ts'

/** A final verdict. */
export type EndVerdict =
  /** The service already ran that image; nothing was written. */
  | 'unchanged'
  /** The new tasks run. */
  | 'converged'
  /** The engine rolled back to the previous image, whose tasks run. */
  | 'rolled-back'
  /** The engine paused the update, and waits for an operator. */
  | 'paused'
  /** It ended without the requested result. */
  | 'failed'
  /** It was not done after the time that a rollout may take. */
  | 'timed-out'
  /** A later write replaced it. */
  | 'superseded'
  /** The service was removed. */
  | 'removed'
  /** The outcome cannot be determined. */
  | 'unknown'

/** The verdict in a response; two of them are not final. */
export type Verdict =
  | EndVerdict
  /** The engine accepted the write, and the caller does not wait. */
  | 'accepted'
  /** The rollout is in progress. */
  | 'pending'

/** All final verdicts. */
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

/** A failed task with its last log lines. */
export interface TaskEvidence extends FailedTask {
  /** Its last lines, at most 20 and 2 KiB; absent where there are none, or logs are turned off. */
  readonly log?: string
}

/** How a deployment ended. */
export interface Outcome {
  readonly verdict: EndVerdict
  /** When Deployer found the verdict, by the engine's clock; RFC 3339. */
  readonly endedAt: string
  /** Why; the engine's own message where there is one. */
  readonly message?: string
  /** What the caller should know of the result, such as nodes that keep the old task. */
  readonly warnings?: readonly string[]
  /** The failed tasks, where something failed. */
  readonly tasks?: readonly TaskEvidence[]
  /** Why `tasks` has no log lines, where that depends on the image. */
  readonly logsWithheld?: string
}
