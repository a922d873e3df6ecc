// Whether a verdict may contain the log lines of failed tasks. An image that a caller chose can print the
// secrets of the service that it is deployed to. So only images of the repository that the owner of the
// service chose are allowed, however often a caller deploys another one.

import { isFromSameRepository } from '../swarm/image-reference.ts'
import type { ServiceSpec } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'

/**
 * The service label that Deployer sets when it writes an image of another repository than the owner's.
 * Its value is the owner's image, a space, and the image that was written. It is removed when the service
 * has an image of the owner's repository again.
 */
export const FOREIGN_IMAGE_LABEL = 'deployer.foreignImage'

// `docker stack deploy` sets this label to the image in the stack file, and Deployer never changes it.
// `docker stack deploy` removes the label above. With `--resolve-image changed` or `never` it keeps the
// image that Deployer wrote, as long as the image in the stack file is unchanged (docker/cli,
// cli/command/stack/swarm/deploy_composefile.go).
const STACK_IMAGE_LABEL = 'com.docker.stack.image'

/**
 * Gets the image that the owner of a service chose: the image in the stack file, or else the image before
 * Deployer wrote one of another repository, or else the current image.
 *
 * @param spec The service's spec.
 * @returns The image as its owner spelled it; empty for a service without an image.
 */
export function ownersImage(spec: ServiceSpec): string {
  const current = currentImage(spec) ?? ''
  const stackImage = spec.Labels?.[STACK_IMAGE_LABEL]
  if (stackImage !== undefined) {
    return stackImage
  }
  const label = spec.Labels?.[FOREIGN_IMAGE_LABEL] ?? ''
  const space = label.lastIndexOf(' ')
  // If another client has written yet another image since, that image counts as the owner's.
  return space !== -1 && label.slice(space + 1) === current ? label.slice(0, space) : current
}

/**
 * Sets or removes the label for an image of another repository than the owner's.
 *
 * @param next The next spec.
 * @param current The spec that it replaces.
 * @returns The next spec, with the label where its image is of another repository than the owner's,
 *   and without it otherwise.
 */
export function withForeignImage(next: ServiceSpec, current: ServiceSpec): ServiceSpec {
  const [owners, image] = [ownersImage(current), currentImage(next) ?? '']
  const { [FOREIGN_IMAGE_LABEL]: label, ...Labels } = next.Labels ?? {}
  if (!isFromSameRepository(image, owners)) {
    return { ...next, Labels: { ...Labels, [FOREIGN_IMAGE_LABEL]: `${owners} ${image}` } }
  }
  return label === undefined ? next : { ...next, Labels }
}

/**
 * Explains why the log lines of failed tasks are withheld.
 *
 * @param spec The current spec of their service.
 * @param image The image of the tasks.
 * @returns The reason, for the caller; undefined when they may be shown.
 */
export function reasonToWithholdLogs(spec: ServiceSpec, image: string): string | undefined {
  const owners = ownersImage(spec)
  if (isFromSameRepository(image, owners)) {
    return undefined
  }
  const remedy =
    spec.Labels?.[STACK_IMAGE_LABEL] === undefined
      ? `to show them, the owner runs "docker service update --label-rm ${FOREIGN_IMAGE_LABEL} ${spec.Name}"`
      : 'to show them, the owner sets an image of that repository in the stack file'
  return `Log lines are shown only of images of the repository that the owner of the service chose (${owners}), and ${image} is of another repository; read them with "docker service logs"; ${remedy}`
}
