// Reads the service of a rollout, judges it and waits for the next event, until the rollout has ended.

import { onAbort } from '../async/abort.ts'
import { createDeferred } from '../async/deferred.ts'
import { startHeartbeat } from '../async/heartbeat.ts'
import type { Pending } from '../convergence/state.ts'
import type { Deployment } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { DeploymentHistory } from '../history/deployment-history.ts'
import type { Logger } from '../logger.ts'
import type { Service } from '../swarm/service.ts'
import type { ServiceEvents } from '../swarm/service-events.ts'
import { allowsUpdates } from '../swarm/service-spec.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { createEventBuffer } from './event-buffer.ts'
import { type End, judgeDeployment, recordedEnd } from './judgement.ts'
import { notedEnd } from './noted-end.ts'
import { HIDDEN } from './noted-outcome.ts'
import { createServiceObserver, type ServiceSnapshot } from './service-observer.ts'
import type { ServiceReadings } from './service-readings.ts'
import { taskEvidence } from './task-logs.ts'
import { createTaskMemory } from './task-memory.ts'
import type { VerdictHolds } from './verdict-holds.ts'

/** What a watch needs. */
export interface WatchTools {
  readonly swarm: Swarm
  readonly events: ServiceEvents
  readonly readings: ServiceReadings
  readonly holds: VerdictHolds
  /** Is asked for a verdict that the service does not show any more. Default: nothing is asked. */
  readonly history?: Pick<DeploymentHistory, 'read'>
  /**
   * Whether the rollout may have ended before it is watched, in another process or in this one. A verdict
   * that the history has counts then, whatever the service shows now. Default: only where nothing is known
   * of the service.
   */
  readonly mayHaveEnded?: boolean
  /** Whether the evidence contains the last log lines of the failed tasks. */
  readonly evidenceLogs: boolean
  /** How long a rollout may take, in milliseconds. */
  readonly rolloutTimeoutMs: number
  /** Gets faults of Deployer itself. */
  readonly logger: Logger
  /** Stops the watch without a verdict. */
  readonly signal: AbortSignal
}

/** The last known state of a rollout that is in progress. */
export interface Progress {
  /** What the rollout waits for. */
  readonly message: string
  /** How many tasks run (of a job: are complete), and of how many; only when tasks were read. */
  readonly counts?: { readonly running: number; readonly desired: number }
  /** The last known state of the service. */
  readonly snapshot: ServiceSnapshot
}

/** Where a loop starts, and what it reports to. */
export interface RolloutLoopOptions {
  /** The last known state of the service; undefined: nothing is known. */
  readonly known: Service | undefined
  /** Whether the rollout may have ended since then. If so, the service is read first. */
  readonly hasGap: boolean
  /** Whether a caller follows the tasks. */
  readonly isFollowed: () => boolean
  readonly progressed: (progress: Progress) => void
  /** The end, once it is fixed. */
  readonly fixedEnd: () => End | undefined
  /** Fixes the end, unless it is fixed. */
  readonly fix: (end: End) => void
  readonly ended: (outcome: Outcome) => void
}

/** A running loop. */
export interface RolloutLoop {
  /** Resolves once the service has been read, or could not be read, or the loop has stopped. */
  readonly observed: Promise<void>
  /** The last known state of the service. */
  snapshot(): ServiceSnapshot
  /** The engine's clock, in milliseconds since 1970; that of this machine where the swarm's fails. */
  now(): number
  /** Whether events may have been missed since the last reading. */
  hasGap(): boolean
  /** Ends the current wait, so that the service is read. */
  wake(): void
  /** Reports the fixed verdict: at once, or when the logs of failed tasks are read. */
  finish(): void
  /** Ends the loop. */
  stop(): void
  /** Forgets a loop that the runtime has ended together with the request that started it. */
  abandon(): void
  /** Whether its timers still fire; see {@link Heartbeat.isAlive}. */
  isRunning(): Promise<boolean>
}

const FOLLOW_MS = 1000
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 5000
// How often the service is read while no event stream is open.
const POLL_MS = 3000
// How often the service is read though an event stream is open and reports nothing.
const LONGEST_WAIT_MS = 300_000

/**
 * Starts the loop.
 *
 * @param deployment The deployment whose rollout it is.
 * @param tools What the watch needs.
 * @param options Where the loop starts, and what it reports to.
 * @returns The running loop.
 */
export function startRolloutLoop(
  deployment: Deployment,
  tools: WatchTools,
  { known, isFollowed, progressed, fixedEnd, fix, ended, ...options }: RolloutLoopOptions,
): RolloutLoop {
  const { swarm, events, holds, history, signal, logger, rolloutTimeoutMs: timeoutMs } = tools
  const { serviceId, resolved, startedAt } = deployment
  const startedMs = Date.parse(startedAt)
  const observer = createServiceObserver(serviceId, tools, known)
  const memory = createTaskMemory()
  const buffer = createEventBuffer(resolved)
  const [observed, setObserved] = createDeferred<void>()
  const heartbeat = startHeartbeat(() => void pollWithoutEvents())
  const unlisten = events.listen(serviceId, { missed: buffer.gap, changed: buffer.add })
  const unsubscribe = onAbort(signal, stop)
  const noted = { history, mayHaveEnded: options.hasGap || tools.mayHaveEnded === true }
  let { hasGap } = options
  let isStopped = false
  let isAbandoned = false
  let waitingSince: number | undefined

  function stop(): void {
    isStopped = true
    unsubscribe()
    heartbeat.stop()
    unlisten()
    observer.close()
    buffer.wake()
    setObserved()
  }

  function latest(): ServiceSnapshot {
    const { tasks, ...snapshot } = observer.snapshot()
    return { ...snapshot, tasks: tasks && memory.recall(tasks) }
  }

  function now(): number {
    try {
      return swarm.now()
    } catch (error) {
      logger.error({ err: error }, 'engine clock not read')
      return Date.now()
    }
  }

  async function run(): Promise<void> {
    if (hasGap) {
      await observer.refresh(true)
    }
    while (!isStopped) {
      const snapshot = latest()
      const fixed = fixedEnd()
      if (fixed !== undefined) {
        await end(fixed, snapshot)
        break
      }
      const nowMs = snapshot.atMs ?? now()
      const circumstances = { nowMs, startedMs, timeoutMs, hasGap }
      const judgement = judgeDeployment(deployment, snapshot, circumstances)
      switch (judgement.kind) {
        case 'end':
          await fixWhenReleased((await notedEnd(deployment, judgement, noted)) ?? judgement)
          break
        case 'read-tasks':
          // Tasks as new as the service that was read; watches with the same reading share them.
          await observer.refresh(true, snapshot.sequenceNumber)
          break
        case 'wait':
          await waitAndRefresh(judgement.pending, snapshot)
          break
      }
    }
  }

  /**
   * Where no update succeeds meanwhile, the judgement counts: the state that it was made on may be gone, and
   * a later judgement could only know less. An update that succeeds ends the deployments of this process,
   * and records the verdict of one that another process wrote.
   */
  async function fixWhenReleased(found: End): Promise<void> {
    let end = found
    while (holds.isHeld(serviceId) && fixedEnd() === undefined) {
      await holds.released(serviceId)
      if (!isStopped && fixedEnd() === undefined) {
        await observer.refresh(false)
        end = recordedEnd(deployment, observer.snapshot()) ?? end
      }
    }
    if (!isStopped) {
      fix(end)
    }
  }

  /** The logs of failed tasks are read once the verdict is fixed. */
  async function end(fixed: End, snapshot: ServiceSnapshot): Promise<void> {
    const { failed } = fixed
    if (failed === undefined) {
      report(fixed)
    } else if (showsTasks(snapshot)) {
      const { service } = snapshot
      report(fixed, await taskEvidence(failed, { service, image: resolved, tools }))
    } else {
      // The message of a rollout whose tasks failed may repeat what the tasks printed.
      report({ ...fixed, message: HIDDEN })
    }
  }

  /** A verdict that was found before the stop still counts. */
  function report(
    { verdict, message, warnings, endedAt = new Date(now()).toISOString() }: End,
    evidence: Partial<Outcome> = {},
  ): void {
    if (!isAbandoned) {
      ended({
        ...{ verdict, endedAt },
        ...(message === undefined ? {} : { message }),
        ...(warnings === undefined ? {} : { warnings }),
        ...evidence,
      })
    }
  }

  async function waitAndRefresh(pending: Pending, snapshot: ServiceSnapshot): Promise<void> {
    hasGap = hasGap && snapshot.error !== undefined
    progressed(progressOf(pending, snapshot))
    setObserved()
    waitingSince = performance.now()
    const reason = await buffer.next(pauseMs(pending, snapshot))
    waitingSince = undefined
    if (isStopped || fixedEnd() !== undefined) {
      return
    }
    hasGap = hasGap || reason.kind === 'gap'
    // A restarted engine may repeat old events. Where the service has an update status already, only a
    // reading shows the present one.
    const hasNoStatus = snapshot.error === undefined && !snapshot.service?.UpdateStatus
    if (reason.kind === 'started' && hasNoStatus) {
      observer.updateStarted(reason.event)
    } else {
      const withTasks = pending.needsTasks || isFollowed() || reason.kind === 'ended'
      await observer.refresh(withTasks, reason.since)
    }
  }

  /** Runs every second. */
  async function pollWithoutEvents(): Promise<void> {
    await events.ensureRunning()
    const waitedMs = waitingSince === undefined ? 0 : performance.now() - waitingSince
    if (!events.isOpen() && waitedMs >= POLL_MS) {
      buffer.wake()
    }
  }

  function pauseMs(
    { readAgainInMs = LONGEST_WAIT_MS }: Pending,
    { error, atMs }: ServiceSnapshot,
  ): number {
    const ageMs = atMs === undefined ? 0 : now() - atMs
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** observer.consecutiveErrors(), LONGEST_RETRY_MS)
    return Math.min(
      error === undefined ? Math.max(0, readAgainInMs - ageMs) : retryMs,
      isFollowed() ? FOLLOW_MS : LONGEST_WAIT_MS,
      Math.max(0, startedMs + timeoutMs - now()),
    )
  }

  if (signal.aborted) {
    stop()
  }
  // In a microtask, so that the caller has the loop before its first report.
  Promise.resolve()
    .then(run)
    .catch((error) => {
      // The judgement must not fail. If it does, callers do not wait for ever.
      logger.error({ err: error, service: deployment.service }, 'rollout not judged')
      const message = 'Deployer itself failed to judge the rollout; see its log'
      ended({ verdict: 'unknown', endedAt: new Date(now()).toISOString(), message })
    })
    .finally(setObserved)

  return {
    observed,
    snapshot: latest,
    now,
    // A stream that ended reports the gap only once it is open again.
    hasGap: () => hasGap || !events.isOpen(),
    wake: buffer.wake,

    finish() {
      const fixed = fixedEnd()
      if (fixed !== undefined && fixed.failed === undefined) {
        report(fixed)
      } else {
        buffer.wake()
      }
    },

    stop,
    isRunning: heartbeat.isAlive,

    abandon() {
      isStopped = true
      isAbandoned = true
      unsubscribe()
      unlisten()
      observer.close()
      // The timers and promises of the ended request are not touched: workerd prints a warning.
    },
  }
}

function progressOf({ message, progress: counts }: Pending, snapshot: ServiceSnapshot): Progress {
  return showsTasks(snapshot)
    ? { message, ...(counts === undefined ? {} : { counts }), snapshot }
    : { message: HIDDEN, snapshot: { ...snapshot, tasks: undefined } }
}

/**
 * Anyone with the token can forge the ID of a deployment of any service, so the tasks of services that
 * do not allow updates are not shown.
 */
function showsTasks({ service }: ServiceSnapshot): boolean {
  return service === undefined || allowsUpdates(service.Spec)
}
