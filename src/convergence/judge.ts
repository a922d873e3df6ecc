// What became of a rollout: service, tasks, nodes and time give one state of a closed union.

import type { UpdateConfig } from '../swarm/engine-types.ts'
import { isHigher } from '../swarm/force-update.ts'
import { firstMoment, isMadeBy, type Rollout } from './rollout.ts'
import { isJob, type RolloutTarget, wantedTasks } from './slots.ts'
import { type Convergence, type ObservedState, pending } from './state.ts'
import { judgeTasks, judgeUnderWay } from './task-verdict.ts'
import { isFailure, isMadeOf, madeAt, milliseconds, taskTargetOf } from './tasks.ts'

const NANOSECONDS_PER_MILLISECOND = 1_000_000
const DEFAULT_MONITOR_MS = 5000
// Between the write and `updating` lie a few milliseconds; until then tasks have nothing to tell.
const START_MS = 1000

/**
 * Judges a rollout.
 *
 * @param rollout The rollout.
 * @param sight What is known of the swarm; the service alone is enough until tasks are needed.
 * @returns Where the rollout stands. A manual rollback is `superseded`: somebody wanted another
 *   spec.
 */
export function judge(rollout: Rollout, sight: ObservedState): Convergence {
  const { Spec, Version } = sight.service
  if (Version.Index <= rollout.versionIndex) {
    return pending('The engine shows the service as it was before', { lookAgainInMs: START_MS })
  }
  return isMadeOf(rollout, Spec.TaskTemplate)
    ? judgeWanted(rollout, sight)
    : judgeReplaced(rollout, sight)
}

/** The spec is the rollout's. What rolls back to it, after a later update, is welcome too. */
function judgeWanted(rollout: Rollout, sight: ObservedState): Convergence {
  const { service, tasks, now } = sight
  const mode = service.Spec.Mode ?? {}
  if (wantedTasks(mode) === 0) {
    return { state: 'converged' }
  }
  // Jobs have no updater: rolled back by hand, one would say `rollback_started` for ever.
  const status = isJob(mode) ? undefined : service.UpdateStatus
  const endedAt = milliseconds(status?.CompletedAt)
  const aim = aimAt(rollout, sight, { endedAt, watchedUntil: endedAt })
  const end: Convergence = { state: 'converged' }
  switch (status?.State) {
    case 'updating':
    case 'rollback_started':
      return judgeUnderWay(aim, sight, { status, end })
    case 'paused':
      return { state: 'paused', message: status.Message ?? 'The update is paused' }
    case 'rollback_paused':
      return { state: 'failed', message: status.Message ?? 'The rollback is paused' }
  }
  const elapsed = now - milliseconds(rollout.writtenAt)
  if (!status && !tasks && !isJob(mode) && elapsed >= 0 && elapsed < START_MS) {
    return pending('The engine is about to begin', { lookAgainInMs: START_MS - elapsed })
  }
  return judgeTasks(aim, sight, { end })
}

/** The spec is another one: somebody wrote it, or the engine rolled an update back. */
function judgeReplaced(rollout: Rollout, sight: ObservedState): Convergence {
  const { service, tasks } = sight
  const status = service.UpdateStatus
  const isRollback = status?.State?.startsWith('rollback_') ?? false
  // A manual rollback keeps what it took back as `PreviousSpec`; the engine's own keeps nothing
  // (swarmkit, controlapi/service.go and orchestrator/update/updater.go).
  if (isRollback && service.PreviousSpec) {
    return { state: 'superseded', message: 'Somebody rolled the service back by hand' }
  }
  if (!isRollback && !isBackWhereItWas(rollout, sight)) {
    return { state: 'superseded', message: 'The service has another spec by now' }
  }
  if (isOfAnotherUpdate(rollout, sight)) {
    return { state: 'superseded', message: 'The engine rolled back a later update' }
  }
  // The spec that it goes back to ran before, so its tasks count as soon as they run.
  const endedAt = milliseconds(status?.CompletedAt)
  const aim = aimAt(rollout, sight, { endedAt, watchedUntil: Number.POSITIVE_INFINITY })
  const message = status?.Message ?? 'The engine rolled the update back'
  const end: Convergence = { state: 'rolled-back', message }
  if (status?.State === 'rollback_started' || status?.State === 'updating') {
    return judgeUnderWay(aim, sight, { status, end })
  }
  if (status?.State === 'rollback_paused' && tasks !== undefined) {
    return { state: 'failed', message: status.Message ?? 'The rollback is paused' }
  }
  return judgeTasks(aim, sight, { end })
}

/**
 * A label that somebody changes in the middle of a rollback empties `UpdateStatus` for ever, though
 * the engine goes on. The spec before that change is the same but for labels, and shows the image
 * from before the rollout, whose tasks failed.
 */
function isBackWhereItWas(rollout: Rollout, { service, tasks }: ObservedState): boolean {
  const { Spec, PreviousSpec } = service
  const back = taskTargetOf(Spec.TaskTemplate)
  return (
    back.image === rollout.previous &&
    !isHigher(back.forceUpdate, rollout.forceUpdate) &&
    PreviousSpec !== undefined &&
    PreviousSpec !== null &&
    isMadeOf(back, PreviousSpec.TaskTemplate) &&
    (tasks?.some((task) => isFailure(task) && isMadeBy(rollout, task)) ?? true)
  )
}

/** An update and its rollback make tasks of two specs; a third one's are another update's. */
function isOfAnotherUpdate(rollout: Rollout, { service, tasks = [] }: ObservedState): boolean {
  const startedAt = milliseconds(service.UpdateStatus?.StartedAt)
  const targets = [rollout, taskTargetOf(service.Spec.TaskTemplate)]
  return tasks.some(
    (task) => madeAt(task) >= startedAt && !targets.some((target) => isMadeOf(target, task.Spec)),
  )
}

function aimAt(
  rollout: Rollout,
  { service, now }: ObservedState,
  times: Pick<RolloutTarget, 'endedAt' | 'watchedUntil'>,
): RolloutTarget {
  const { Spec, JobStatus, UpdateStatus } = service
  const isRollback = UpdateStatus?.State?.startsWith('rollback_')
  return {
    target: taskTargetOf(Spec.TaskTemplate),
    mode: Spec.Mode ?? {},
    jobIteration: JobStatus?.JobIteration.Index ?? 0,
    since: firstMoment(rollout),
    ...times,
    monitorMs: monitorMs(isRollback ? Spec.RollbackConfig : Spec.UpdateConfig),
    now,
  }
}

/**
 * How long the engine watches a new task for failure.
 *
 * @param config How an update, or a rollback, goes from task to task.
 * @returns Milliseconds; 5000 where the spec leaves it to the engine.
 */
export function monitorMs(config: UpdateConfig | null | undefined): number {
  return (config?.Monitor ?? 0) / NANOSECONDS_PER_MILLISECOND || DEFAULT_MONITOR_MS
}
