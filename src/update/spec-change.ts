// The change that an update makes to a service's spec.

import type { Platform } from '../swarm/engine-types.ts'
import { forceUpdateOf, forceUpdateValue, nextForceUpdate } from '../swarm/force-update.ts'
import { isSameImage, parseImageReference } from '../swarm/image-reference.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'

/** A change to a spec. */
export interface SpecChange {
  /** The image as it is written into the spec. */
  readonly image: string
  /** The platforms of the image; undefined: those of the spec are kept. */
  readonly platforms?: readonly Platform[]
  /** Whether to replace the tasks even when the image stays the same. */
  readonly force: boolean
  /** Whether to continue a paused update to the same image. */
  readonly resume: boolean
}

/**
 * Applies a change to a spec. Everything but the image, its platforms and, with `force`, `ForceUpdate` is
 * kept.
 *
 * @param spec The whole spec, as the engine returned it.
 * @param change The change.
 * @returns The next spec.
 */
export function nextSpec(spec: ServiceSpec, { image, platforms, force }: SpecChange): ServiceSpec {
  const { TaskTemplate } = spec
  const { ContainerSpec, Placement } = TaskTemplate
  return {
    ...spec,
    TaskTemplate: {
      ...TaskTemplate,
      ContainerSpec: { ...ContainerSpec, Image: image },
      ...(platforms === undefined ? {} : { Placement: { ...Placement, Platforms: platforms } }),
      ...(force
        ? { ForceUpdate: forceUpdateValue(nextForceUpdate(forceUpdateOf(TaskTemplate))) }
        : {}),
    },
  }
}

/**
 * Whether a service already has a change, so that no write is needed. Writing the same spec again is not
 * harmless: the engine replaces `PreviousSpec` and `UpdateStatus`.
 *
 * @param service The service.
 * @param change The change.
 * @returns True when the spec has the same image. A paused update to it is written again only to resume
 *   it; a paused rollback to it is always written again, since the caller requests the image that the
 *   engine could not return to.
 */
export function isApplied({ Spec, UpdateStatus }: Service, change: SpecChange): boolean {
  const { image, force, resume } = change
  const current = currentImage(Spec)
  const state = UpdateStatus?.State
  const isResumed = state === 'rollback_paused' || (state === 'paused' && resume)
  return (
    !force &&
    !isResumed &&
    current !== undefined &&
    isSameImage(parseImageReference(image), current)
  )
}
