// Watches one rollout to its end: events tell when to look, the judge what the state is.

import { onAbort } from '../async/abort.ts'
import type { FailedTask } from '../convergence/evidence.ts'
import type { Pending } from '../convergence/state.ts'
import type { Deployment } from '../deployment/deployment.ts'
import type { EndVerdict, Outcome } from '../deployment/verdict.ts'
import type { Logger } from '../logger.ts'
import type { Service } from '../swarm/service.ts'
import type { ServiceEvents } from '../swarm/service-events.ts'
import { allowsUpdates } from '../swarm/service-spec.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { createEventBuffer } from './event-buffer.ts'
import { type End, judgeDeployment } from './judgement.ts'
import { reasonToWithholdLogs } from './log-access.ts'
import { createServiceObserver, type ServiceSnapshot } from './service-observer.ts'
import type { ServiceReadings } from './service-readings.ts'
import { mayHaveLog, readLogs } from './task-logs.ts'

/** What a watch works with. */
export interface WatchTools {
  readonly swarm: Swarm
  readonly events: ServiceEvents
  readonly readings: ServiceReadings
  /** Whether the evidence has the failed tasks' last lines. */
  readonly evidenceLogs: boolean
  /** How long a rollout may take, in milliseconds. */
  readonly rolloutTimeoutMs: number
  /** Is told of faults of Deployer's own. */
  readonly logger: Logger
  /** Ends the watch without a verdict. */
  readonly signal: AbortSignal
}

/** Where a rollout stands that has not come to its end. */
export interface Progress {
  /** What it waits for. */
  readonly message: string
  /** How many tasks run (of a job: are complete), and of how many; when tasks were read. */
  readonly counts?: { readonly running: number; readonly desired: number }
  /** The last known state of the service. */
  readonly snapshot: ServiceSnapshot
}

/** A rollout that is being watched, or has come to its end. */
export interface RolloutWatch {
  readonly deployment: Deployment
  /** The end; never resolves when the watch is stopped without one. */
  readonly ended: Promise<Outcome>
  /** Resolves once the swarm was looked at, or could not be. */
  readonly observed: Promise<void>
  /** The end, once it is there. */
  outcome(): Outcome | undefined
  progress(): Progress
  /**
   * Has the tasks read every second as long as somebody follows.
   *
   * @param listener Is told after each look, and of the end.
   * @returns A function that ends it.
   */
  follow(listener: () => void): () => void
  /**
   * Ends the rollout by what is known elsewhere; nothing happens when it has ended.
   *
   * @param verdict The end.
   * @param message Why.
   */
  end(verdict: EndVerdict, message: string): void
  /** Ends the watch without a verdict. */
  stop(): void
}

const HIDDEN = 'The service does not allow updates, so its tasks are not shown'
const FOLLOW_MS = 1000
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 5000
// The safety net, should all events fail.
const LONGEST_WAIT_MS = 300_000

/**
 * Watches a rollout.
 *
 * @param deployment The deployment whose rollout it is.
 * @param tools What the watch works with.
 * @param written The service as this process has just written it; undefined when it was written
 *   elsewhere or long ago, so that a whole rollout may have come and gone unseen.
 * @returns The watch, already at work.
 */
export function watchRollout(
  deployment: Deployment,
  tools: WatchTools,
  written?: Service,
): RolloutWatch {
  const { swarm, signal, rolloutTimeoutMs: timeoutMs } = tools
  const { serviceId, resolved, startedAt } = deployment
  const startedMs = Date.parse(startedAt)
  const observer = createServiceObserver(serviceId, tools, written)
  const buffer = createEventBuffer(resolved)
  const followers = new Set<() => void>()
  const [ended, settle] = promise<Outcome>()
  const [observed, setObserved] = promise<void>()
  let outcome: Outcome | undefined
  let progress: Progress = {
    message: 'The engine is about to begin',
    snapshot: observer.snapshot(),
  }
  let hasGap = written === undefined
  let isStopped = signal.aborted

  const stopListening = tools.events.listen(serviceId, {
    missed: buffer.gap,
    changed: buffer.add,
  })
  const forgetSignal = onAbort(signal, stop)

  function stop(): void {
    isStopped = true
    forgetSignal()
    stopListening()
    observer.close()
    buffer.wake()
    setObserved()
  }

  function end(
    verdict: EndVerdict,
    message?: string,
    evidence: Pick<Outcome, 'tasks' | 'logsWithheld'> = {},
  ): void {
    if (outcome === undefined) {
      outcome = {
        verdict,
        endedAt: new Date(swarm.now()).toISOString(),
        ...(message === undefined ? {} : { message }),
        ...evidence,
      }
      settle(outcome)
      stop()
      tellFollowers()
    }
  }

  function tellFollowers(): void {
    for (const follower of [...followers]) {
      follower()
    }
  }

  async function run(): Promise<void> {
    if (written === undefined) {
      await observer.refresh(true)
    }
    while (!isStopped) {
      const snapshot = observer.snapshot()
      const nowMs = snapshot.atMs ?? swarm.now()
      const judgement = judgeDeployment(deployment, snapshot, {
        nowMs,
        startedMs,
        timeoutMs,
        hasGap,
      })
      switch (judgement.kind) {
        case 'end':
          await endWithLogs(judgement, snapshot)
          break
        case 'look':
          // Tasks as new as the service that was read; watches that saw the same reading share them.
          await observer.refresh(true, snapshot.beganAt)
          break
        case 'wait':
          await waitAndLook(judgement.pending, snapshot)
          break
      }
    }
    // A watch that was stopped before it began is not waited for either.
    setObserved()
  }

  async function waitAndLook(pending: Pending, snapshot: ServiceSnapshot): Promise<void> {
    const { message, progress: counts, needsTasks } = pending
    progress = showsTasks(snapshot)
      ? { message, ...(counts === undefined ? {} : { counts }), snapshot }
      : { message: HIDDEN, snapshot: { ...snapshot, tasks: undefined } }
    hasGap = hasGap && snapshot.error !== undefined
    setObserved()
    tellFollowers()
    const reason = await buffer.next(pauseMs(pending, snapshot))
    if (isStopped) {
      return
    }
    hasGap = hasGap || reason.kind === 'missed'
    // A restarted engine may tell old events again: where it has spoken already, only a look tells.
    const isSilent = snapshot.error === undefined && !snapshot.service?.UpdateStatus
    if (reason.kind === 'begun' && isSilent) {
      observer.updateStarted(reason.event)
    } else {
      const withTasks = needsTasks || followers.size > 0 || reason.kind === 'ended'
      await observer.refresh(withTasks, reason.since)
    }
  }

  function pauseMs(
    { lookAgainInMs = LONGEST_WAIT_MS }: Pending,
    { error, atMs }: ServiceSnapshot,
  ): number {
    const ageMs = atMs === undefined ? 0 : swarm.now() - atMs
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** observer.consecutiveErrors(), LONGEST_RETRY_MS)
    return Math.min(
      error === undefined ? Math.max(0, lookAgainInMs - ageMs) : retryMs,
      followers.size > 0 ? FOLLOW_MS : LONGEST_WAIT_MS,
      Math.max(0, startedMs + timeoutMs - swarm.now()),
    )
  }

  /** The message of a rollout whose tasks failed may repeat what they said. */
  async function endWithLogs(
    { verdict, message, failed }: End,
    snapshot: ServiceSnapshot,
  ): Promise<void> {
    if (failed === undefined) {
      end(verdict, message)
    } else if (showsTasks(snapshot)) {
      end(verdict, message, await evidenceOf(failed, snapshot))
    } else {
      end(verdict, HIDDEN)
    }
  }

  async function evidenceOf(
    failed: readonly FailedTask[],
    { service }: ServiceSnapshot,
  ): Promise<Pick<Outcome, 'tasks' | 'logsWithheld'>> {
    if (!tools.evidenceLogs || service === undefined) {
      return { tasks: failed }
    }
    // Failed tasks of a deployment have its image, or they would not be its own. What its ID says of
    // the image before proves nothing: the service itself has to tell.
    const logsWithheld = reasonToWithholdLogs(service.Spec, resolved)
    if (logsWithheld === undefined) {
      return { tasks: await readLogs(failed, swarm) }
    }
    return { tasks: failed, ...(failed.some(mayHaveLog) ? { logsWithheld } : {}) }
  }

  run().catch((error) => {
    // The judge must not fail; if it does, callers are not to wait for ever, nor the process to end.
    tools.logger.error({ err: error, service: deployment.service }, 'rollout not judged')
    end('unknown', 'Deployer itself failed at judging the rollout; its log says why')
  })

  return {
    deployment,
    ended,
    observed,
    outcome: () => outcome,
    progress: () => progress,
    follow(listener) {
      followers.add(listener)
      buffer.wake()
      return () => void followers.delete(listener)
    },
    end,
    stop,
  }
}

/**
 * Anybody with the token can make up the ID of a deployment of any service: those that do not allow
 * updates are none of its business.
 */
function showsTasks({ service }: ServiceSnapshot): boolean {
  return service === undefined || allowsUpdates(service.Spec)
}

function promise<T>(): readonly [Promise<T>, (value: T) => void] {
  let resolve = (_: T): void => {}
  const created = new Promise<T>((settle) => {
    resolve = settle
  })
  return [created, resolve]
}
