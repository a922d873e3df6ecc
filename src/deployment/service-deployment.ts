// The deployment that a service shows.

import { forceUpdateOf } from '../swarm/force-update.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { Deployment } from './deployment.ts'
import { writerOf } from './deployment-record.ts'

/**
 * Describes the deployment that wrote the spec of a service.
 *
 * @param service The service.
 * @param nowMs The time to use where the service has none, in milliseconds since 1970.
 * @returns The deployment; for a spec that another client wrote, a deployment that describes that write.
 */
export function deploymentOf(
  { ID, Version, Spec, ...service }: Service,
  nowMs: number,
): Deployment {
  const image = currentImage(Spec) ?? ''
  const entry = writerOf(Spec)
  const { PreviousSpec, UpdateStatus, UpdatedAt } = service
  const previous = PreviousSpec ? currentImage(PreviousSpec) : undefined
  const now = new Date(nowMs).toISOString()
  const startedAt = entry?.startedAt ?? UpdateStatus?.StartedAt ?? UpdatedAt ?? now
  return {
    service: Spec.Name,
    serviceId: ID,
    image,
    resolved: image,
    previous: previous ?? image,
    forceUpdate: forceUpdateOf(Spec.TaskTemplate),
    // Without a record, any index below that of the service is sufficient.
    versionIndex: entry?.versionIndex ?? Version.Index - 1,
    startedAt: new Date(startedAt).toISOString(),
  }
}
