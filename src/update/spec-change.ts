// The change that an update makes to a service's spec.

import type { Platform } from '../swarm/engine-types.ts'
import { forceUpdateOf, forceUpdateValue, nextForceUpdate } from '../swarm/force-update.ts'
import { isSameImage, parseImageReference } from '../swarm/image-reference.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'

/** What is to become of a spec. */
export interface SpecChange {
  /** The image as the spec is to spell it. */
  readonly image: string
  /** The platforms that the image is for; undefined: as they are. */
  readonly platforms?: readonly Platform[]
  /** Whether to replace the tasks even where the image stays. */
  readonly force: boolean
  /** Whether to go on with a paused update to the same image. */
  readonly resume: boolean
}

/**
 * The spec that makes a service run an image: the same one, but for the image, its platforms, and
 * `ForceUpdate` where that is asked for.
 *
 * @param spec The whole spec, as the engine gave it.
 * @param change What is wanted.
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
 * Whether a service needs no write to get an image. Writing the same spec again is not harmless: the
 * engine forgets `PreviousSpec` and `UpdateStatus` over it.
 *
 * @param service The service.
 * @param change What is wanted.
 * @returns True when the spec names that very image. A paused update to it is written again only to
 *   resume it; a paused rollback to it is written again always, since the caller asks for the image
 *   that the engine could not go back to.
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
