// Which deployment a service shows, and which one a wish would make of it.

import { forceUpdateOf } from '../swarm/force-update.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { Deployment } from './deployment.ts'
import { writerOf } from './deployment-record.ts'

/**
 * The deployment that wrote a service's spec, as far as the service tells.
 *
 * @param service The service.
 * @param nowMs The time, should the service tell none, in milliseconds since 1970.
 * @returns The deployment; where Deployer did not write the spec, whatever else did.
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
    // Any index below the service's own will do where nobody wrote it down.
    versionIndex: entry?.versionIndex ?? Version.Index - 1,
    startedAt: new Date(startedAt).toISOString(),
  }
}
