// The input and the result of the judgement of a rollout.

import type { Node, Task, WatchedService } from '../swarm/engine-types.ts'

/** What is known of the swarm. */
export interface ObservedState {
  readonly service: WatchedService
  /** All tasks of the service; undefined: not read. */
  readonly tasks: readonly Task[] | undefined
  /** The nodes of the swarm; undefined: not read, and every node counts. */
  readonly nodes: readonly Node[] | undefined
  /** Milliseconds since 1970, by the engine's clock as far as it is known. */
  readonly now: number
}

/** A rollout that is in progress. */
export interface Pending {
  readonly state: 'pending'
  /** Whether the tasks and the nodes are needed to judge further. */
  readonly needsTasks: boolean
  /** What the rollout waits for. */
  readonly message: string
  /** How many tasks run (of a job: are complete), and of how many; only when tasks were read. */
  readonly progress?: { readonly running: number; readonly desired: number }
  /**
   * When to read again if no event comes before. Absent: immediately, with the tasks.
   */
  readonly readAgainInMs?: number
}

/** The end of a rollout. */
export type Ended =
  | {
      readonly state: 'converged'
      /** What the engine still does, where it has not ended the update. */
      readonly message?: string
      /** What the caller should know of the result. */
      readonly warnings?: readonly string[]
    }
  | {
      readonly state: 'rolled-back' | 'paused' | 'failed' | 'superseded'
      /** Why; the engine's own message where there is one. */
      readonly message: string
    }

/** The state of a rollout. */
export type Convergence = Pending | Ended

/**
 * Creates the state of a rollout that is in progress.
 *
 * @param message What it waits for.
 * @param more What else is known; without `needsTasks`, no tasks are needed.
 * @returns The state.
 */
export function pending(message: string, more: Partial<Omit<Pending, 'message'>> = {}): Pending {
  return { state: 'pending', needsTasks: false, message, ...more }
}
