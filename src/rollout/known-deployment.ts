// A deployment that this process knows: its rollout is watched, or it has ended.

import { createDeferred } from '../async/deferred.ts'
import { type WaitLimits, waitFor } from '../async/wait-for.ts'
import { type Deployment, deploymentId, type FinalDeployment } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { RolloutWatch } from './rollout-watch.ts'

/** A deployment and its ID. */
export interface NamedDeployment {
  readonly id: string
  readonly deployment: Deployment
}

/** A deployment whose rollout is watched. The watch has the outcome once the rollout has ended. */
export interface WatchedDeployment extends NamedDeployment {
  readonly watch: RolloutWatch
}

/** A deployment that has ended. Nothing that was read from the swarm is kept with it. */
export interface EndedDeployment extends NamedDeployment {
  readonly outcome: Outcome
}

/** A deployment that this process knows. */
export type KnownDeployment = WatchedDeployment | EndedDeployment

/** Why a deployment was not written to the swarm. */
const REASONS = {
  unchanged: 'The service had this very image already',
  superseded: 'A later request was written first',
} as const

// How often a waiting request checks that the watch still runs.
const CHECK_MS = 1000

/**
 * Describes a deployment that has ended.
 *
 * @param deployment The deployment.
 * @param outcome How it ended.
 * @returns Plain data.
 */
export function endedDeployment(deployment: Deployment, outcome: Outcome): EndedDeployment {
  return { id: deploymentId(deployment), deployment, outcome }
}

/**
 * Describes a deployment that ended when it was created.
 *
 * @param deployment The deployment.
 * @param message Why it was not written. Default: a short sentence for the reason.
 * @returns Plain data.
 */
export function finalDeployment(deployment: FinalDeployment, message?: string): EndedDeployment {
  const { unwritten, startedAt } = deployment
  return endedDeployment(deployment, {
    verdict: unwritten,
    message: message ?? REASONS[unwritten],
    endedAt: startedAt,
  })
}

/**
 * Gets the outcome of a deployment.
 *
 * @param known The deployment.
 * @returns The outcome; undefined while the rollout is in progress.
 */
export function outcomeOf(known: KnownDeployment): Outcome | undefined {
  return 'watch' in known ? known.watch.outcome() : known.outcome
}

/**
 * Calls a function once a deployment has ended; immediately when it has. On workerd, a promise that the
 * request of the deployment created would not settle any more once that request has ended.
 *
 * @param known The deployment.
 * @param listener The function. It is not called when the watch is stopped before the end.
 */
export function whenEnded(known: KnownDeployment, listener: (outcome: Outcome) => void): void {
  if ('watch' in known) {
    known.watch.onEnded(listener)
  } else {
    listener(known.outcome)
  }
}

/**
 * Waits for the end of a deployment. A watch that the runtime has ended is started again.
 *
 * @param known The deployment.
 * @param options What ends the wait early.
 */
export async function waitForEnd(known: KnownDeployment, options: WaitLimits): Promise<void> {
  if (!('watch' in known)) {
    return
  }
  const { watch } = known
  const [ended, resolve] = createDeferred<void>()
  const unsubscribe = watch.onEnded(() => resolve())
  const checks = setInterval(() => void watch.ensureRunning(), CHECK_MS)
  try {
    await watch.ensureRunning()
    await waitFor(ended, options)
  } finally {
    clearInterval(checks)
    unsubscribe()
  }
}

/**
 * Waits until the service of a deployment has been read, or could not be read. A watch that the runtime
 * has ended is started again.
 *
 * @param known The deployment.
 * @param options The signals that end the wait early.
 */
export async function waitForReading(
  known: KnownDeployment,
  options: Pick<WaitLimits, 'signals'>,
): Promise<void> {
  if (!('watch' in known)) {
    return
  }
  const { watch } = known
  let isRead = false
  await watch.ensureRunning()
  while (!isRead && !options.signals.some(({ aborted }) => aborted)) {
    // A watch that was started again has another reading.
    const reading = watch.observed().then(() => {
      isRead = true
    })
    await waitFor(reading, { ...options, timeoutMs: CHECK_MS })
    if (!isRead) {
      await watch.ensureRunning()
    }
  }
}
