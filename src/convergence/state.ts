// What a rollout is judged by, and what can be said of it.

import type { Node, Task, WatchedService } from '../swarm/engine-types.ts'

/** What is known of the swarm. */
export interface ObservedState {
  readonly service: WatchedService
  /** All tasks of the service; undefined: not read. */
  readonly tasks: readonly Task[] | undefined
  /** The nodes of the swarm; undefined: not read, and every node counts. */
  readonly nodes: readonly Node[] | undefined
  /** Milliseconds since 1970, by the engine's clock as near as may be. */
  readonly now: number
}

/** A rollout that has not come to its end. */
export interface Pending {
  readonly state: 'pending'
  /** Whether only the tasks, and the nodes, can tell more. */
  readonly needsTasks: boolean
  /** What the rollout waits for. */
  readonly message: string
  /** How many tasks run (of a job: are complete), and of how many; only when tasks were read. */
  readonly progress?: { readonly running: number; readonly desired: number }
  /**
   * When to look again, should the engine tell of no change until then. Absent: at once, with the
   * tasks.
   */
  readonly lookAgainInMs?: number
}

/** The end of a rollout. */
export type Ended =
  | { readonly state: 'converged'; readonly message?: undefined }
  | {
      readonly state: 'rolled-back' | 'paused' | 'failed' | 'superseded'
      /** Why, in the engine's words where it has some. */
      readonly message: string
    }

/** What became of a rollout, so far. */
export type Convergence = Pending | Ended

/**
 * Says that a rollout is not at its end.
 *
 * @param message What it waits for.
 * @param more What else is known; without `needsTasks`, no tasks are needed.
 * @returns The state.
 */
export function pending(message: string, more: Partial<Omit<Pending, 'message'>> = {}): Pending {
  return { state: 'pending', needsTasks: false, message, ...more }
}
