// Watches one rollout until it ends.

import type { Deployment } from '../deployment/deployment.ts'
import type { EndVerdict, Outcome } from '../deployment/verdict.ts'
import type { Service } from '../swarm/service.ts'
import type { End } from './judgement.ts'
import {
  type Progress,
  type RolloutLoop,
  startRolloutLoop,
  type WatchTools,
} from './rollout-loop.ts'

/** The watch of a rollout. */
export interface RolloutWatch {
  readonly deployment: Deployment
  /** The outcome; undefined while the rollout is in progress. */
  outcome(): Outcome | undefined
  /** The last known state of a rollout that is in progress. */
  progress(): Progress
  /** Resolves once the service has been read, or could not be read. */
  observed(): Promise<void>
  /**
   * Calls a function once the rollout ends; immediately when it has ended.
   *
   * @param listener The function. It is not called when the watch is stopped before the end.
   * @returns A function that cancels the call.
   */
  onEnded(listener: (outcome: Outcome) => void): () => void
  /**
   * Follows the progress. While there are followers, the tasks are read every second.
   *
   * @param listener Is called after each reading, and at the end.
   * @returns A function that ends it.
   */
  follow(listener: () => void): () => void
  /** The verdict once it is fixed; the outcome follows when the logs of failed tasks are read. */
  verdict(): EndVerdict | undefined
  /** Whether the rollout may have ended without being noticed, so that its state proves less. */
  hasGap(): boolean
  /**
   * Ends the rollout in the state that a later update has replaced. It does nothing once the verdict is
   * fixed.
   *
   * @param end The judgement of that state.
   */
  end(end: End): void
  /** Stops the watch without a verdict. */
  stop(): void
  /** Whether the watch still runs, and the runtime has not ended it (see `ensureRunning`). */
  isRunning(): Promise<boolean>
  /**
   * Starts the watch again, as part of the current request, where the runtime has ended it together with
   * the request that started it (workerd). Elsewhere it does nothing.
   */
  ensureRunning(): Promise<void>
}

// How often a follower checks that the watch still runs.
const CHECK_MS = 1000

/**
 * Starts to watch a rollout.
 *
 * @param deployment The deployment whose rollout it is.
 * @param tools What the watch needs.
 * @param written The service as this process has just written it. Undefined: another process wrote it,
 *   or it was written some time ago, so that the rollout may have ended since.
 * @returns The watch.
 */
export function watchRollout(
  deployment: Deployment,
  tools: WatchTools,
  written?: Service,
): RolloutWatch {
  const endListeners = new Set<(outcome: Outcome) => void>()
  const followers = new Set<() => void>()
  let fixed: End | undefined
  let outcome: Outcome | undefined
  let isStopped = false
  let loop = start(written, written === undefined)
  let progress: Progress = { message: 'The engine is about to begin', snapshot: loop.snapshot() }

  function start(known: Service | undefined, hasGap: boolean): RolloutLoop {
    return startRolloutLoop(deployment, tools, {
      known,
      hasGap,
      isFollowed: () => followers.size > 0,
      progressed(latest) {
        progress = latest
        notifyFollowers()
      },
      fixedEnd: () => fixed,
      fix,
      ended,
    })
  }

  function fix(end: End): void {
    fixed ??= end
  }

  function ended(end: Outcome): void {
    if (outcome === undefined) {
      outcome = end
      stop()
      for (const listener of [...endListeners]) {
        listener(end)
      }
      endListeners.clear()
      notifyFollowers()
    }
  }

  function stop(): void {
    isStopped = true
    loop.stop()
  }

  function notifyFollowers(): void {
    for (const follower of [...followers]) {
      follower()
    }
  }

  function onEnded(listener: (outcome: Outcome) => void): () => void {
    if (outcome !== undefined) {
      listener(outcome)
      return () => {}
    }
    endListeners.add(listener)
    return () => void endListeners.delete(listener)
  }

  async function ensureRunning(): Promise<void> {
    const current = loop
    if (!isStopped && !(await current.isRunning()) && loop === current && !isStopped) {
      loop = start(current.snapshot().service, true)
      current.abandon()
    }
  }

  return {
    deployment,
    outcome: () => outcome,
    progress: () => progress,
    observed: () => loop.observed,
    onEnded,

    follow(listener) {
      followers.add(listener)
      const checks = setInterval(() => void ensureRunning(), CHECK_MS)
      void ensureRunning().then(() => loop.wake())
      return () => {
        clearInterval(checks)
        followers.delete(listener)
      }
    },

    verdict: () => outcome?.verdict ?? fixed?.verdict,
    hasGap: () => loop.hasGap(),

    end(end) {
      if (fixed === undefined && outcome === undefined) {
        fix(end)
        loop.finish()
      }
    },

    stop,
    isRunning: async () => !isStopped && (await loop.isRunning()),
    ensureRunning,
  }
}
