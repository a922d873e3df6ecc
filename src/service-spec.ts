// What a service's spec says about updates, and the spec that comes next.

import { type ImageReference, isSameImage } from './image-reference.ts'
import type { ServiceSpec } from './ports.ts'

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

/**
 * The spec that makes a service run an image: the same one, but for the image.
 *
 * @param spec The whole spec, as the engine gave it.
 * @param image The wanted image.
 * @returns The next spec, or `unchanged` when the spec names that image already. Writing the same
 *   spec again is not harmless: the engine forgets `PreviousSpec` and `UpdateStatus` over it.
 */
export function nextSpec(spec: ServiceSpec, image: ImageReference): ServiceSpec | 'unchanged' {
  const current = currentImage(spec)
  if (current !== undefined && isSameImage(image, current)) {
    return 'unchanged'
  }
  const { TaskTemplate } = spec
  const ContainerSpec = { ...TaskTemplate.ContainerSpec, Image: image.given }
  return { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } }
}
