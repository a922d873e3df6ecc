// Decides what a watch does next, by the last known state of the service: end with a verdict, read the
// tasks, or wait. The verdict of the tasks and the update status is `judge` in `convergence/judge.ts`.

import { evidence, type FailedTask } from '../convergence/evidence.ts'
import { judge } from '../convergence/judge.ts'
import { isMadeBy, onLeadersClock } from '../convergence/rollout.ts'
import { isJob } from '../convergence/slots.ts'
import { type Convergence, type Ended, type Pending, pending } from '../convergence/state.ts'
import { isFailure, isMadeOf, milliseconds, taskTargetOf } from '../convergence/tasks.ts'
import { aftermathMs } from '../convergence/timing.ts'
import { type Deployment, rolloutOf } from '../deployment/deployment.ts'
import { readRecord, writerOf } from '../deployment/deployment-record.ts'
import type { EndVerdict } from '../deployment/verdict.ts'
import type { Service } from '../swarm/service.ts'
import { isRollback } from '../swarm/service-spec.ts'
import type { ServiceSnapshot } from './service-observer.ts'

/** What a judgement takes into account besides the service. */
export interface Circumstances {
  /** The time, by the engine's clock, in milliseconds since 1970. */
  readonly nowMs: number
  /** When the deployment was started, in any process; milliseconds since 1970. */
  readonly startedMs: number
  /** How long a rollout may take. */
  readonly timeoutMs: number
  /** Whether events may have been missed, so that one or several rollouts may have ended unnoticed. */
  readonly hasGap: boolean
}

/** The end of a deployment. */
export interface End {
  readonly kind: 'end'
  readonly verdict: EndVerdict
  readonly message?: string
  /** The failed tasks; undefined where nothing failed. */
  readonly failed?: readonly FailedTask[]
  /** What the caller should know of the result. */
  readonly warnings?: readonly string[]
  /** Whether another process recorded this verdict on the service. */
  readonly isRecorded?: boolean
  /** When another process found it, by the engine's clock; RFC 3339. Undefined: it was found now. */
  readonly endedAt?: string
}

/** What the watch does next. */
export type Judgement =
  | End
  /** The verdict depends on the tasks, which were not read. */
  | { readonly kind: 'read-tasks' }
  | { readonly kind: 'wait'; readonly pending: Pending }

// The engine starts an update much sooner after a write, unless the managers elect a leader.
const LATEST_START_MS = 60_000

/**
 * Judges a deployment.
 *
 * @param deployment The deployment.
 * @param snapshot The last known state of its service.
 * @param circumstances What else is known.
 * @returns What the watch does next.
 */
export function judgeDeployment(
  deployment: Deployment,
  snapshot: ServiceSnapshot,
  circumstances: Circumstances,
): Judgement {
  const { nowMs, startedMs, timeoutMs } = circumstances
  const isLate = nowMs >= startedMs + timeoutMs
  const { error } = snapshot
  if (error?.code === 'service-not-found') {
    return end('removed', { message: `Service "${deployment.service}" was removed` })
  }
  if (error !== undefined) {
    return isLate
      ? end('unknown', { message: `The service can no longer be read: ${error.message}` })
      : { kind: 'wait', pending: pending(error.message) }
  }
  const convergence = convergenceOf(deployment, snapshot, circumstances)
  if (snapshot.tasks === undefined && needsTasks(convergence, isLate)) {
    return { kind: 'read-tasks' }
  }
  if (isTooLateToJudge(deployment, convergence, { snapshot, circumstances })) {
    return end('unknown', {
      message:
        'The rollout ended long ago; not all of its tasks run now, and there is no record of whether they ran then',
    })
  }
  if (convergence.state !== 'pending') {
    return endOf(deployment, convergence, { snapshot, circumstances })
  }
  if (!isLate) {
    return { kind: 'wait', pending: convergence }
  }
  const seconds = Math.round(timeoutMs / 1000)
  return end('timed-out', {
    message: `Still not done after ${seconds} s: ${convergence.message}`,
    failed: failedTasks(deployment, snapshot),
  })
}

function convergenceOf(
  deployment: Deployment,
  { service, tasks, nodes }: ServiceSnapshot,
  { nowMs, startedMs, hasGap }: Circumstances,
): Convergence {
  if (service === undefined) {
    return pending('The service is being read', { readAgainInMs: 0 })
  }
  const [newest] = readRecord(service.Spec)
  if (newest !== undefined && newest.versionIndex > deployment.versionIndex) {
    return { state: 'superseded', message: 'A later deployment has written the service' }
  }
  const updateStartedMs = Date.parse(service.UpdateStatus?.StartedAt ?? '')
  if (hasGap && newest === undefined && updateStartedMs > startedMs + LATEST_START_MS) {
    return { state: 'superseded', message: 'The engine has started a later update' }
  }
  if (hasGap && isWrittenByAnotherClient(deployment, service)) {
    return { state: 'superseded', message: 'The image was written again by another client' }
  }
  return judge(rolloutOf(deployment), { service, tasks, nodes, now: nowMs })
}

/**
 * A rollback also restores the earlier record. A client that then writes the image again keeps that
 * record, as does a client that writes another image over this one.
 */
function isWrittenByAnotherClient(deployment: Deployment, { Spec, Version }: Service): boolean {
  const { versionIndex, unwritten } = deployment
  const [newest] = readRecord(Spec)
  const isOwn = newest !== undefined && writerOf(Spec)?.versionIndex === versionIndex
  return (
    // An observation is not the writer of the spec that it observes.
    unwritten !== 'observed' &&
    newest !== undefined &&
    newest.versionIndex <= versionIndex &&
    !isOwn &&
    Version.Index > versionIndex &&
    isMadeOf(rolloutOf(deployment), Spec.TaskTemplate)
  )
}

/**
 * After a gap, a failed or missing task does not prove that the rollout failed: it may have failed later.
 * Only a task that failed by the end of the rollout proves it. The update status has the time of the
 * end, unless the service was changed since, or the engine has no updater for its mode.
 */
function isTooLateToJudge(
  deployment: Deployment,
  { state }: Convergence,
  {
    snapshot,
    circumstances,
  }: { readonly snapshot: ServiceSnapshot; readonly circumstances: Circumstances },
): boolean {
  const { service, tasks = [] } = snapshot
  const { nowMs, startedMs, timeoutMs, hasGap } = circumstances
  if (!hasGap || service === undefined || (state !== 'failed' && state !== 'pending')) {
    return false
  }
  const { State, CompletedAt } = service.UpdateStatus ?? {}
  const hasNoStatus = State === undefined && !isJob(service.Spec.Mode ?? {})
  const isCompleted = State === 'completed' || State === 'rollback_completed'
  const endMs = hasNoStatus ? startedMs + timeoutMs : milliseconds(CompletedAt)
  const decidedMs = endMs + aftermathMs(service)
  if ((!hasNoStatus && !isCompleted) || !(nowMs > decidedMs + LATEST_START_MS)) {
    return false
  }
  // The spec of the rollout, or the one before it, to which the engine went back.
  const current = { ...rolloutOf(deployment), ...taskTargetOf(service.Spec.TaskTemplate) }
  const hasFailedByThen = tasks.some(
    (task) =>
      isFailure(task) &&
      isMadeBy(current, task) &&
      milliseconds(task.Status.Timestamp) <= decidedMs,
  )
  return state === 'pending' || !hasFailedByThen
}

/** A failure is reported with its tasks, and a timeout with what the rollout waits for. */
function needsTasks(convergence: Convergence, isLate: boolean): boolean {
  switch (convergence.state) {
    case 'converged':
    case 'superseded':
      return false
    case 'pending':
      return isLate || (convergence.needsTasks && convergence.readAgainInMs === undefined)
    default:
      return true
  }
}

function endOf(
  deployment: Deployment,
  ended: Ended,
  {
    snapshot,
    circumstances,
  }: { readonly snapshot: ServiceSnapshot; readonly circumstances: Circumstances },
): Judgement {
  const { hasGap } = circumstances
  if (ended.state === 'converged') {
    const { state, ...more } = ended
    return end(state, more)
  }
  const { state, message } = ended
  if (state === 'superseded') {
    return replaced(deployment, message, { snapshot, hasGap })
  }
  if (hasGap && isRolledBackTo(deployment, snapshot.service)) {
    return replaced(deployment, 'A later update was rolled back', { snapshot, hasGap })
  }
  const failed = failedTasks(deployment, snapshot)
  // The service has its previous spec. After a gap, only failed tasks prove that the engine rolled this
  // deployment back, and not another one.
  return state === 'rolled-back' && hasGap && failed.length === 0
    ? replaced(deployment, 'The service has its previous spec', { snapshot, hasGap })
    : end(state, { message, failed })
}

/**
 * A rollback to the spec of a deployment shows that a later update had replaced it, so that a failure of
 * that rollback is none of the deployment.
 */
function isRolledBackTo(deployment: Deployment, service: Service | undefined): boolean {
  return (
    deployment.unwritten === undefined &&
    service !== undefined &&
    isRollback(service) &&
    isMadeOf(rolloutOf(deployment), service.Spec.TaskTemplate)
  )
}

/** Another write replaced it. Its own verdict is known only from the record, or when there was no gap. */
function replaced(
  deployment: Deployment,
  message: string,
  { snapshot, hasGap }: { readonly snapshot: ServiceSnapshot; readonly hasGap: boolean },
): Judgement {
  const recorded = recordedEnd(deployment, snapshot)
  if (recorded !== undefined) {
    return recorded
  }
  return hasGap
    ? end('unknown', { message: `${message}, and there is no record of how this deployment ended` })
    : end('superseded', { message })
}

/**
 * Finds the verdict that a later deployment recorded on the service.
 *
 * @param deployment The deployment.
 * @param snapshot The last known state of its service.
 * @returns The end; undefined where none is recorded.
 */
export function recordedEnd(
  { versionIndex }: Deployment,
  { service }: ServiceSnapshot,
): End | undefined {
  const record = service === undefined ? [] : readRecord(service.Spec)
  const recorded = record.find((entry) => entry.versionIndex === versionIndex)?.verdict
  const message = 'A later deployment recorded this verdict on the service'
  return recorded === undefined ? undefined : end(recorded, { message, isRecorded: true })
}

function failedTasks(
  deployment: Deployment,
  { service, tasks = [], nodes }: ServiceSnapshot,
): readonly FailedTask[] {
  const rollout = rolloutOf(deployment)
  const written = service === undefined ? rollout : onLeadersClock(rollout, service)
  // An observation may end because of a task that failed before.
  const writtenAt = rollout.isObserved === true ? new Date(0).toISOString() : written.writtenAt
  return evidence({ ...written, writtenAt }, tasks, { nodes })
}

function end(verdict: EndVerdict, more: Omit<End, 'kind' | 'verdict'> = {}): End {
  return { kind: 'end', verdict, ...more }
}
