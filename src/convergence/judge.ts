// Judges a rollout: a pure function of service, tasks, nodes and time. `rolled-back` is decided here, in
// `judgeReplacedSpec`.

import type { UpdateConfig } from '../swarm/engine-types.ts'
import { isHigher } from '../swarm/force-update.ts'
import { leavesFinishedTasks, runsOnce } from './one-shot.ts'
import { earliestTaskMs, isMadeBy, onLeadersClock, type Rollout } from './rollout.ts'
import { isJob, type RolloutTarget, wantedTasks } from './slots.ts'
import { type Convergence, type ObservedState, pending } from './state.ts'
import { judgeInProgress, judgePaused, judgeTasks } from './task-verdict.ts'
import { createdAt, isFailure, isMadeOf, milliseconds, taskTargetOf } from './tasks.ts'
import { latestConfig, timingOf } from './timing.ts'

// The engine starts to update a few milliseconds after the write. Before, the tasks show nothing.
const START_MS = 1000

/**
 * Judges a rollout.
 *
 * @param written The rollout.
 * @param state What is known of the swarm. The service alone is enough until tasks are needed.
 * @returns The state of the rollout. A manual rollback is `superseded`, since it is a later write.
 */
export function judge(written: Rollout, state: ObservedState): Convergence {
  const rollout = onLeadersClock(written, state.service)
  const { Spec, Version } = state.service
  if (Version.Index <= rollout.versionIndex) {
    return pending('The engine still shows the service as it was before the write', {
      readAgainInMs: START_MS,
    })
  }
  return isMadeOf(rollout, Spec.TaskTemplate)
    ? judgeCurrentSpec(rollout, state)
    : judgeReplacedSpec(rollout, state)
}

/** The service has the spec of the rollout. That includes a rollback to it after a later update. */
function judgeCurrentSpec(rollout: Rollout, state: ObservedState): Convergence {
  const { service, tasks, now } = state
  const mode = service.Spec.Mode ?? {}
  if (wantedTasks(mode) === 0) {
    return { state: 'converged' }
  }
  // Jobs have no updater: after a manual rollback, a job has `rollback_started` for ever.
  const status = isJob(mode) ? undefined : service.UpdateStatus
  const target = rolloutTarget(rollout, state, {
    endedAt: milliseconds(status?.CompletedAt),
    config: latestConfig(service),
  })
  const end: Convergence = { state: 'converged' }
  switch (status?.State) {
    case 'updating':
    case 'rollback_started':
      return judgeInProgress(target, state, { status, end })
    case 'paused': {
      const paused = { state: 'paused', message: status.Message ?? 'The update is paused' } as const
      // The engine pauses an update whose task ends soon, also where that is what the task has to do.
      return leavesFinishedTasks(service.Spec)
        ? judgePaused(target, state, { end, paused })
        : paused
    }
    case 'rollback_paused':
      return { state: 'failed', message: status.Message ?? 'The rollback is paused' }
  }
  const elapsed = now - milliseconds(rollout.writtenAt)
  if (!status && !tasks && !isJob(mode) && elapsed >= 0 && elapsed < START_MS) {
    return pending('The engine is about to start the update', { readAgainInMs: START_MS - elapsed })
  }
  return judgeTasks(target, state, { end })
}

/** The service has another spec: another client wrote it, or the engine rolled an update back. */
function judgeReplacedSpec(rollout: Rollout, state: ObservedState): Convergence {
  const { service, tasks } = state
  const status = service.UpdateStatus
  const isRollback = status?.State?.startsWith('rollback_') ?? false
  // A manual rollback keeps the replaced spec as `PreviousSpec`; the engine's own rollback keeps none
  // (swarmkit, controlapi/service.go and orchestrator/update/updater.go).
  if (isRollback && service.PreviousSpec) {
    return { state: 'superseded', message: 'The service was rolled back by hand' }
  }
  if (!isRollback && !isPreviousSpec(rollout, state)) {
    return { state: 'superseded', message: 'The service has another spec' }
  }
  if (isOfAnotherUpdate(rollout, state)) {
    return { state: 'superseded', message: 'The engine rolled back a later update' }
  }
  const target = rolloutTarget(rollout, state, {
    endedAt: milliseconds(status?.CompletedAt),
    config: service.Spec.RollbackConfig,
  })
  const message = status?.Message ?? 'The engine rolled the update back'
  const end: Convergence = { state: 'rolled-back', message }
  if (status?.State === 'rollback_started' || status?.State === 'updating') {
    return judgeInProgress(target, state, { status, end })
  }
  if (status?.State === 'rollback_paused' && tasks !== undefined) {
    return { state: 'failed', message: status.Message ?? 'The rollback is paused' }
  }
  const verdict = judgeTasks(target, state, { end })
  if (verdict.state !== 'failed') {
    return verdict
  }
  const image = target.target.image ?? 'the previous spec'
  return {
    state: 'failed',
    message: `The engine went back to ${image}, which fails too: ${verdict.message}`,
  }
}

/**
 * When a label is changed during a rollback, `UpdateStatus` is cleared for ever, though the engine
 * continues the rollback. Then the spec before that change differs in labels only and has the image from
 * before the rollout, and tasks of the rollout have failed. A rollback that the engine reports as
 * `completed` leaves no spec before it.
 */
function isPreviousSpec(rollout: Rollout, { service, tasks }: ObservedState): boolean {
  const { Spec, PreviousSpec, UpdateStatus } = service
  const current = taskTargetOf(Spec.TaskTemplate)
  return (
    current.image === rollout.previous &&
    !isHigher(current.forceUpdate, rollout.forceUpdate) &&
    (PreviousSpec
      ? isMadeOf(current, PreviousSpec.TaskTemplate)
      : UpdateStatus?.State === 'completed') &&
    (tasks?.some((task) => isFailure(task) && isMadeBy(rollout, task)) ?? true)
  )
}

/** An update and its rollback create tasks of two specs. Tasks of a third spec are those of another update. */
function isOfAnotherUpdate(rollout: Rollout, { service, tasks = [] }: ObservedState): boolean {
  const startedAt = milliseconds(service.UpdateStatus?.StartedAt)
  const targets = [rollout, taskTargetOf(service.Spec.TaskTemplate)]
  return tasks.some(
    (task) =>
      createdAt(task) >= startedAt && !targets.some((target) => isMadeOf(target, task.Spec)),
  )
}

function rolloutTarget(
  rollout: Rollout,
  { service, tasks, now }: ObservedState,
  {
    endedAt,
    config,
  }: { readonly endedAt: number; readonly config: UpdateConfig | null | undefined },
): RolloutTarget {
  const { Spec, JobStatus } = service
  return {
    target: taskTargetOf(Spec.TaskTemplate),
    mode: Spec.Mode ?? {},
    jobIteration: JobStatus?.JobIteration.Index ?? 0,
    since: earliestTaskMs(rollout),
    isObserved: rollout.isObserved === true,
    runsOnce: runsOnce(service, tasks),
    endedAt,
    ...timingOf(Spec, config),
    now,
  }
}
