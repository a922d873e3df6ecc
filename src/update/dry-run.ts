// What a deployment would change, told without changing it.

import type { Platform } from '../swarm/engine-types.ts'
import { digestOf } from '../swarm/image-reference.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage, isPaused } from '../swarm/service-spec.ts'
import type { Plan } from './deploy.ts'
import type { DeployRequest } from './deploy-request.ts'
import { pausedNotice, resumeWarnings } from './paused-update.ts'
import { isApplied, type SpecChange } from './spec-change.ts'

/** What would change. */
export interface DryRunReport {
  readonly dryRun: true
  readonly service: string
  readonly serviceId: string
  /** The image as the caller sent it. */
  readonly image: string
  /** The image that the spec names now. */
  readonly from: string
  /** The image that it would name. */
  readonly to: string
  /** What the registry has for the image; null where it was not resolved. */
  readonly digest: string | null
  /** What the image runs on; empty where that is not known. */
  readonly platforms: readonly Platform[]
  /** Whether the service would be written. */
  readonly wouldUpdate: boolean
  /** Why not; absent when it would. */
  readonly reason?: string
  readonly warnings?: readonly string[]
}

/**
 * Describes what a deployment would change.
 *
 * @param wish What the caller wants.
 * @param plan What would be written.
 * @returns The report.
 */
export function dryRunReport(wish: DeployRequest, plan: Plan): DryRunReport {
  const { service, change } = plan
  const { ID, Spec } = service
  const isUnchanged = isApplied(service, change)
  const warnings = [...plan.warnings, ...(isUnchanged ? [] : resumeWarnings(service, change))]
  return {
    dryRun: true,
    service: Spec.Name,
    serviceId: ID,
    image: wish.image?.given ?? change.image,
    from: currentImage(Spec) ?? '',
    to: change.image,
    digest: digestOf(change.image),
    platforms: change.platforms ?? [],
    wouldUpdate: !isUnchanged,
    ...(isUnchanged ? { reason: whyNot(service, change) } : {}),
    ...(warnings.length === 0 ? {} : { warnings }),
  }
}

function whyNot(service: Service, { image }: SpecChange): string {
  return isPaused(service)
    ? pausedNotice(service)
    : `The spec of service "${service.Spec.Name}" names ${image} already`
}
