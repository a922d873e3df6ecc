// The current state of a service, as callers see it.

import { wantedTasks } from '../convergence/slots.ts'
import { countTasks } from '../rollout/task-states.ts'
import type { ServiceMode, Task, UpdateStatus } from '../swarm/engine-types.ts'
import { digestOf } from '../swarm/image-reference.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import { findUpdateObstacle, type UpdateObstacle } from '../update/update-permission.ts'

/** A service as callers see it. */
export interface ServiceStatus {
  readonly service: string
  readonly serviceId: string
  /** The image as in the spec; empty for plugins and network attachments. */
  readonly image: string
  /** The digest that the image is pinned to, or null. */
  readonly digest: string | null
  /** `replicated`, `global`, `replicated-job` or `global-job`. */
  readonly mode: string
  /** The number of running tasks; absent where tasks were not read. */
  readonly running?: number
  /** The desired number of tasks; for a global service, one for each of its nodes. */
  readonly desired?: number
  /** Only for a job: the number of completed tasks of this run. */
  readonly completed?: number
  /** The engine's own values; null before the first update. */
  readonly updateStatus: {
    readonly state: string
    readonly startedAt: string | null
    readonly completedAt: string | null
    readonly message: string
  } | null
  readonly allowsUpdates: boolean
  /** Why updates are not allowed; absent where they are. */
  readonly reason?: string
}

/**
 * Describes a service.
 *
 * @param service The service.
 * @param tasks Its tasks; undefined where they were not read.
 * @returns Its status.
 */
export function serviceStatus(
  { ID, Spec, UpdateStatus, JobStatus }: Service,
  tasks?: readonly Task[],
): ServiceStatus {
  const mode = Spec.Mode ?? {}
  const image = currentImage(Spec)
  const obstacle = findUpdateObstacle(Spec)
  return {
    service: Spec.Name,
    serviceId: ID,
    image: image ?? '',
    digest: digestOf(image ?? ''),
    mode: modeName(mode),
    ...(tasks === undefined
      ? {}
      : {
          ...countTasks(mode, tasks, JobStatus?.JobIteration.Index ?? 0),
          desired: wantedTasks(mode) ?? wantedByNodes(tasks),
        }),
    updateStatus: updateStatusOf(UpdateStatus),
    allowsUpdates: obstacle === undefined,
    ...(obstacle === undefined ? {} : { reason: sentence(obstacle) }),
  }
}

function sentence({ reason, remedy }: UpdateObstacle): string {
  return `${reason.slice(0, 1).toUpperCase()}${reason.slice(1)}; ${remedy}`
}

function modeName(mode: ServiceMode): string {
  if (mode.Global) {
    return 'global'
  }
  if (mode.GlobalJob) {
    return 'global-job'
  }
  return mode.ReplicatedJob ? 'replicated-job' : 'replicated'
}

function wantedByNodes(tasks: readonly Task[]): number {
  const wanted = ['running', 'ready', 'complete']
  const nodes = tasks
    .filter(({ DesiredState }) => wanted.includes(DesiredState))
    .map(({ NodeID }) => NodeID)
  return new Set(nodes).size
}

function updateStatusOf(status: UpdateStatus | null | undefined): ServiceStatus['updateStatus'] {
  return status?.State === undefined
    ? null
    : {
        state: status.State,
        startedAt: status.StartedAt ?? null,
        completedAt: status.CompletedAt ?? null,
        message: status.Message ?? '',
      }
}
