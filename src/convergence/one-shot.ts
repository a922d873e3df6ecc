// Services whose tasks end by themselves and are not started again, such as migrations and scheduled work.

import type { Task, WatchedService, WatchedSpec } from '../swarm/engine-types.ts'
import { isMadeOf, newest, taskTargetOf } from './tasks.ts'

/**
 * Whether the engine leaves a task of a service alone that ended with exit code 0.
 *
 * @param spec The spec of the service.
 * @returns True for the restart conditions `none` and `on-failure`.
 */
export function leavesFinishedTasks({ TaskTemplate }: WatchedSpec): boolean {
  const condition = TaskTemplate.RestartPolicy?.Condition
  return condition === 'none' || condition === 'on-failure'
}

/**
 * Whether a task that ended with exit code 0 is a success of a service. The restart condition is not
 * enough: a web server with `on-failure` that ends at once would pass as well, and the engine ends a task
 * whose health check never passes with exit code 0. So the tasks of the earlier spec must have ended in that
 * way too, or there must be no earlier spec.
 *
 * @param service The service.
 * @param tasks All of its tasks.
 * @returns True for a service that runs once.
 */
export function runsOnce(
  { Spec, PreviousSpec }: WatchedService,
  tasks: readonly Task[] = [],
): boolean {
  if (!leavesFinishedTasks(Spec)) {
    return false
  }
  const current = taskTargetOf(Spec.TaskTemplate)
  const earlier = newest(tasks.filter((task) => !isMadeOf(current, task.Spec) && !hasFailed(task)))
  return earlier === undefined
    ? !PreviousSpec || isMadeOf(current, PreviousSpec.TaskTemplate)
    : isFinished(earlier)
}

/**
 * Whether a task ended by itself, and with exit code 0.
 *
 * @param task A task of a service that is no job.
 * @returns True for a task that is complete.
 */
export function isFinished({ Status }: Task): boolean {
  return Status.State === 'complete' && (Status.ContainerStatus?.ExitCode ?? 0) === 0
}

function hasFailed({ Status }: Task): boolean {
  return ['failed', 'rejected', 'orphaned'].includes(Status.State)
}
