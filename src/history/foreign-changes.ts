// Notes task templates that other clients of the engine wrote, and services that are gone.

import { LRUCache } from 'lru-cache'
import { taskTargetOf } from '../convergence/tasks.ts'
import { writerOf } from '../deployment/deployment-record.ts'
import { currentTimeMs } from '../swarm/current-time.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import { isServiceId } from '../swarm/service-name.ts'
import { allowsUpdates, currentImage, isRollback } from '../swarm/service-spec.ts'
import type { Swarm } from '../swarm/swarm.ts'
import type { HistoryEntry } from './history-entry.ts'
import type { HistoryRecorder } from './history-recorder.ts'
import type { SwarmObserver } from './observed-swarm.ts'
import { templateFingerprint } from './template-fingerprint.ts'

/** What noting needs. */
export interface ForeignChangesOptions {
  readonly swarm: Pick<Swarm, 'now'>
  readonly history: Pick<HistoryRecorder, 'noteOutside' | 'noteRemoved'>
  /** Called when this process has written a service. */
  readonly onWritten?: (serviceId: string) => void
}

const MAX_SERVICES = 1000

/**
 * Creates an observer of services. A change is noted once, when a service is read for the first time with
 * it; whether it is entered is decided over the history itself.
 *
 * @param options The clock, and where changes are noted.
 * @returns The observer.
 */
export function createForeignChanges({
  swarm,
  history,
  onWritten = () => {},
}: ForeignChangesOptions): SwarmObserver {
  /** The latest template that was noted, by the ID of the service. */
  const noted = new LRUCache<string, string>({ max: MAX_SERVICES })
  /** The services that were seen to be gone. */
  const gone = new LRUCache<string, true>({ max: MAX_SERVICES })

  return {
    seen(service) {
      const change = outsideChangeOf(service, currentTimeMs(swarm))
      if (change === undefined) {
        // An own deployment comes in between: the same change can be made again.
        noted.delete(service.ID)
        return
      }
      const { resolved, forceUpdate, template } = change
      const target = JSON.stringify([resolved, forceUpdate, template])
      if (noted.get(service.ID) !== target) {
        noted.set(service.ID, target)
        history.noteOutside({ serviceId: service.ID, service: service.Spec.Name }, change)
      }
    },

    missing(nameOrId) {
      if (isServiceId(nameOrId) && !gone.has(nameOrId)) {
        gone.set(nameOrId, true)
        history.noteRemoved(nameOrId, new Date(currentTimeMs(swarm)).toISOString())
      }
    },

    written: onWritten,
  }
}

/**
 * Describes the write of another client.
 *
 * @param service A service.
 * @param nowMs The time to use where the service has none, in milliseconds since 1970.
 * @returns The change; undefined where Deployer wrote the spec, the engine rolled it back, the service does
 *   not allow updates, or its last write did not change the task template of a deployment.
 */
export function outsideChangeOf(service: Service, nowMs: number): HistoryEntry | undefined {
  const { Version, Spec, PreviousSpec, UpdateStatus, UpdatedAt } = service
  const image = currentImage(Spec)
  if (image === undefined || !allowsUpdates(Spec) || isRollback(service)) {
    return undefined
  }
  const writer = writerOf(Spec)
  const previousWriter = PreviousSpec ? writerOf(PreviousSpec) : undefined
  const isChanged = PreviousSpec ? !isSameTemplate(Spec, PreviousSpec) : false
  // Docker keeps the record of the deployment whose environment it changes.
  const isOwn = writer !== undefined && writer.versionIndex !== previousWriter?.versionIndex
  if (isOwn || (!isChanged && (writer ?? previousWriter) !== undefined)) {
    return undefined
  }
  const startedAt = UpdateStatus?.StartedAt ?? UpdatedAt ?? nowMs
  return {
    versionIndex: Version.Index - 1,
    startedAt: new Date(startedAt).toISOString(),
    kind: 'outside',
    image,
    resolved: image,
    ...(isChanged && PreviousSpec ? { previous: currentImage(PreviousSpec) ?? '' } : {}),
    forceUpdate: taskTargetOf(Spec.TaskTemplate).forceUpdate,
    caller: '',
    template: templateFingerprint(Spec),
  }
}

function isSameTemplate(a: ServiceSpec, b: ServiceSpec): boolean {
  const [one, other] = [taskTargetOf(a.TaskTemplate), taskTargetOf(b.TaskTemplate)]
  return (
    one.image === other.image &&
    one.forceUpdate === other.forceUpdate &&
    templateFingerprint(a) === templateFingerprint(b)
  )
}
