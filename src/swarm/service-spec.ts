// What a service's spec says about updates, and the spec that comes next.

import type { Platform } from './engine-types.ts'
import { forceUpdateOf, forceUpdateValue, nextForceUpdate } from './force-update.ts'
import { isSameImage, parseImageReference } from './image-reference.ts'
import type { Service, ServiceSpec } from './swarm.ts'

/** The label by which a service's owner allows updates. */
export const ALLOW_UPDATES_LABEL = 'deployer.allowUpdates'

/**
 * Whether the owner of a service allows updates.
 *
 * @param spec The service's spec; its service labels count, not those of its containers.
 * @returns True when the label `deployer.allowUpdates` is exactly `true`.
 */
export function allowsUpdates(spec: ServiceSpec): boolean {
  return spec.Labels?.[ALLOW_UPDATES_LABEL] === 'true'
}

/**
 * The image that a service is to run.
 *
 * @param spec The service's spec.
 * @returns The image as the spec spells it, or undefined for a service that runs no container
 *   (plugins and network attachments).
 */
export function currentImage(spec: ServiceSpec): string | undefined {
  return spec.TaskTemplate.ContainerSpec?.Image
}

/** What is to become of a spec. */
export interface Change {
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
export function nextSpec(spec: ServiceSpec, { image, platforms, force }: Change): ServiceSpec {
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
export function isWritten({ Spec, UpdateStatus }: Service, change: Change): boolean {
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

/**
 * Whether the engine has paused the update that wrote the spec.
 *
 * @param service The service.
 * @returns True for an update; false for a rollback that is paused.
 */
export function isPaused({ UpdateStatus }: Service): boolean {
  return UpdateStatus?.State === 'paused'
}
