// What is to be done about a deployment, by what was seen of its service: end it, look closer, or
// wait.

import { evidence, type FailedTask } from '../convergence/evidence.ts'
import { judge, monitorMs } from '../convergence/judge.ts'
import { isMadeBy } from '../convergence/rollout.ts'
import { isJob } from '../convergence/slots.ts'
import { type Convergence, type Ended, type Pending, pending } from '../convergence/state.ts'
import { isFailure, isMadeOf, milliseconds } from '../convergence/tasks.ts'
import { type Deployment, rolloutOf } from '../deployment/deployment.ts'
import { readRecord, writerOf } from '../deployment/deployment-record.ts'
import type { EndVerdict } from '../deployment/verdict.ts'
import type { Service } from '../swarm/service.ts'
import type { ServiceSnapshot } from './service-observer.ts'

/** What is known besides the service. */
export interface Circumstances {
  /** The time, by the engine's clock, in milliseconds since 1970. */
  readonly nowMs: number
  /** When the deployment was begun here, or elsewhere; milliseconds since 1970. */
  readonly startedMs: number
  /** How long a rollout may take. */
  readonly timeoutMs: number
  /** Whether a whole rollout, or several, may have come and gone unseen. */
  readonly hasGap: boolean
}

/** The end of a deployment. */
export interface End {
  readonly kind: 'end'
  readonly verdict: EndVerdict
  readonly message?: string
  /** The failed tasks, where something failed. */
  readonly failed?: readonly FailedTask[]
}

/** What is to be done. */
export type Judgement =
  | End
  /** Only the tasks can tell more. */
  | { readonly kind: 'read-tasks' }
  | { readonly kind: 'wait'; readonly pending: Pending }

// Between a write and the engine's update lies far less, unless the managers elect a leader.
const LATEST_START_MS = 60_000

/**
 * Judges a deployment.
 *
 * @param deployment The deployment.
 * @param seen What was seen of its service.
 * @param circumstances What is known besides.
 * @returns What is to be done.
 */
export function judgeDeployment(
  deployment: Deployment,
  seen: ServiceSnapshot,
  circumstances: Circumstances,
): Judgement {
  const { nowMs, startedMs, timeoutMs } = circumstances
  const isLate = nowMs >= startedMs + timeoutMs
  const { error } = seen
  if (error?.code === 'service-not-found') {
    return end('removed', { message: `Service "${deployment.service}" was removed` })
  }
  if (error !== undefined) {
    return isLate
      ? end('unknown', { message: `Cannot look at the service any more: ${error.message}` })
      : { kind: 'wait', pending: pending(error.message) }
  }
  const convergence = convergenceOf(deployment, seen, circumstances)
  if (seen.tasks === undefined && needsTasks(convergence, isLate)) {
    return { kind: 'read-tasks' }
  }
  if (isTooLateToTell(deployment, convergence, { seen, circumstances })) {
    return end('unknown', {
      message:
        'The rollout ended long ago; its tasks are not all well now, and whether they were then nobody has noted',
    })
  }
  if (convergence.state !== 'pending') {
    return endOf(deployment, convergence, { seen, circumstances })
  }
  if (!isLate) {
    return { kind: 'wait', pending: convergence }
  }
  const seconds = Math.round(timeoutMs / 1000)
  return end('timed-out', {
    message: `Still not done after ${seconds} s: ${convergence.message}`,
    failed: failedTasks(deployment, seen),
  })
}

function convergenceOf(
  deployment: Deployment,
  { service, tasks, nodes }: ServiceSnapshot,
  { nowMs, startedMs, hasGap }: Circumstances,
): Convergence {
  if (service === undefined) {
    return pending('The service is being looked at', { lookAgainInMs: 0 })
  }
  const [newest] = readRecord(service.Spec)
  if (newest !== undefined && newest.versionIndex > deployment.versionIndex) {
    return { state: 'superseded', message: 'A later deployment has written the service' }
  }
  const begunMs = Date.parse(service.UpdateStatus?.StartedAt ?? '')
  if (hasGap && newest === undefined && begunMs > startedMs + LATEST_START_MS) {
    return { state: 'superseded', message: 'The engine is at, or after, a later update' }
  }
  if (hasGap && isWrittenByOthers(deployment, service)) {
    return { state: 'superseded', message: 'Somebody else has written the image again' }
  }
  return judge(rolloutOf(deployment), { service, tasks, nodes, now: nowMs })
}

/**
 * A rollback takes the record back too; whoever writes the image again then keeps that record, and so
 * does whoever writes another image over this one.
 */
function isWrittenByOthers(deployment: Deployment, { Spec, Version }: Service): boolean {
  const { versionIndex } = deployment
  const [newest] = readRecord(Spec)
  const isOurs = newest !== undefined && writerOf(Spec)?.versionIndex === versionIndex
  return (
    newest !== undefined &&
    newest.versionIndex <= versionIndex &&
    !isOurs &&
    Version.Index > versionIndex &&
    isMadeOf(rolloutOf(deployment), Spec.TaskTemplate)
  )
}

/**
 * A task may fail, or be missing, for reasons of a later day. To who was not there when the rollout
 * ended, only a task that failed by then shows that the rollout did. The engine tells when that was,
 * unless somebody has changed the service since, or it never had an updater.
 */
function isTooLateToTell(
  deployment: Deployment,
  { state }: Convergence,
  {
    seen,
    circumstances,
  }: { readonly seen: ServiceSnapshot; readonly circumstances: Circumstances },
): boolean {
  const { service, tasks = [] } = seen
  const { nowMs, startedMs, timeoutMs, hasGap } = circumstances
  const { State, CompletedAt } = service?.UpdateStatus ?? {}
  const isSilent = State === undefined && !isJob(service?.Spec.Mode ?? {})
  const endMs = isSilent ? startedMs + timeoutMs : milliseconds(CompletedAt)
  const watchedUntilMs = endMs + monitorMs(service?.Spec.UpdateConfig)
  const hasFailedThen = tasks.some(
    (task) =>
      isFailure(task) &&
      isMadeBy(rolloutOf(deployment), task) &&
      milliseconds(task.Status.Timestamp) <= watchedUntilMs,
  )
  return (
    hasGap &&
    (state === 'failed' || state === 'pending') &&
    (isSilent || State === 'completed') &&
    nowMs > watchedUntilMs + LATEST_START_MS &&
    !hasFailedThen
  )
}

/** Each failure is told with its tasks, and each wait that was too long with what it waits for. */
function needsTasks(convergence: Convergence, isLate: boolean): boolean {
  switch (convergence.state) {
    case 'converged':
    case 'superseded':
      return false
    case 'pending':
      return isLate || (convergence.needsTasks && convergence.lookAgainInMs === undefined)
    default:
      return true
  }
}

function endOf(
  deployment: Deployment,
  { state, message }: Ended,
  {
    seen,
    circumstances,
  }: { readonly seen: ServiceSnapshot; readonly circumstances: Circumstances },
): Judgement {
  const { hasGap } = circumstances
  if (state === 'converged') {
    return end('converged')
  }
  if (state === 'superseded') {
    return replaced(deployment, message, { seen, hasGap })
  }
  const failed = failedTasks(deployment, seen)
  // The spec is the one from before: to who did not see it happen, only failed tasks show that it was
  // this one that the engine took back.
  return state === 'rolled-back' && hasGap && failed.length === 0
    ? replaced(deployment, 'The service has the spec from before', { seen, hasGap })
    : end(state, { message, failed })
}

/** Another write has taken its place: whether before it came to its end, somebody has to know. */
function replaced(
  { versionIndex }: Deployment,
  message: string,
  { seen, hasGap }: { readonly seen: ServiceSnapshot; readonly hasGap: boolean },
): Judgement {
  const record = seen.service === undefined ? [] : readRecord(seen.service.Spec)
  const noted = record.find((entry) => entry.versionIndex === versionIndex)?.verdict
  if (noted !== undefined) {
    return end(noted, { message: 'A later deployment has noted this verdict on the service' })
  }
  return hasGap
    ? end('unknown', { message: `${message}, and nobody has noted what became of this one before` })
    : end('superseded', { message })
}

function failedTasks(
  deployment: Deployment,
  { tasks = [], nodes }: ServiceSnapshot,
): readonly FailedTask[] {
  return evidence(rolloutOf(deployment), tasks, { nodes })
}

function end(verdict: EndVerdict, more: Omit<End, 'kind' | 'verdict'> = {}): End {
  return { kind: 'end', verdict, ...more }
}
