// The report of a dry run.

import type { Platform } from '../swarm/engine-types.ts'
import { digestOf } from '../swarm/image-reference.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage, isPaused } from '../swarm/service-spec.ts'
import type { DeployRequest } from './deploy-request.ts'
import { pausedNotice, resumeWarnings } from './paused-update.ts'
import { isApplied, type SpecChange } from './spec-change.ts'
import type { UpdatePlan } from './update-plan.ts'

/** The changes that a deployment would make. */
export interface DryRunReport {
  readonly dryRun: true
  readonly service: string
  readonly serviceId: string
  /** The image as the caller sent it. */
  readonly image: string
  /** The image that the spec has now. */
  readonly from: string
  /** The image that the spec would have. */
  readonly to: string
  /** The image's digest in the registry; null where it was not resolved. */
  readonly digest: string | null
  /** The platforms of the image; empty where they are unknown. */
  readonly platforms: readonly Platform[]
  /** Whether the service would be updated. */
  readonly wouldUpdate: boolean
  /** Why the service would not be updated; absent when it would. */
  readonly reason?: string
  readonly warnings?: readonly string[]
}

/**
 * Describes what a deployment would change.
 *
 * @param request The request.
 * @param plan The update that it would make.
 * @returns The report.
 */
export function dryRunReport(request: DeployRequest, plan: UpdatePlan): DryRunReport {
  const { service, change } = plan
  const { ID, Spec } = service
  const isUnchanged = isApplied(service, change)
  const warnings = [...plan.warnings, ...(isUnchanged ? [] : resumeWarnings(service, change))]
  return {
    dryRun: true,
    service: Spec.Name,
    serviceId: ID,
    image: request.image?.given ?? change.image,
    from: currentImage(Spec) ?? '',
    to: change.image,
    digest: digestOf(change.image),
    platforms: change.platforms ?? [],
    wouldUpdate: !isUnchanged,
    ...(isUnchanged ? { reason: reasonForNoUpdate(service, change) } : {}),
    ...(warnings.length === 0 ? {} : { warnings }),
  }
}

function reasonForNoUpdate(service: Service, { image }: SpecChange): string {
  return isPaused(service)
    ? pausedNotice(service)
    : `Service "${service.Spec.Name}" already has ${image}`
}
