// Whether a verdict may show what failed tasks wrote. An image of a caller's own can print the secrets
// of the service that it is deployed to, so only the repository that the service has from its owner
// counts, however often a caller deploys another one.

import { isFromSameRepository } from '../swarm/image-reference.ts'
import type { ServiceSpec } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'

/**
 * The service label that Deployer sets when it writes an image of another repository than the owner's:
 * the owner's image, a blank, and the image that was written. It is there only as long as it is needed.
 */
export const FOREIGN_IMAGE_LABEL = 'deployer.foreignImage'

// `docker stack deploy` notes here which image the stack's file names, and Deployer never changes it.
// It removes the label above, and with `--resolve-image changed` or `never` it keeps the image that
// Deployer wrote, as long as the file names the same one as before (docker/cli,
// cli/command/stack/swarm/deploy_composefile.go).
const STACK_IMAGE_LABEL = 'com.docker.stack.image'

/**
 * The image that the owner of a service gave it: what its stack's file names, or else what it had
 * before Deployer wrote an image of another repository, or else the image that it has.
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
  const noted = spec.Labels?.[FOREIGN_IMAGE_LABEL] ?? ''
  const blank = noted.lastIndexOf(' ')
  // Whoever has written yet another image since, by other means than Deployer, has its own mind.
  return blank !== -1 && noted.slice(blank + 1) === current ? noted.slice(0, blank) : current
}

/**
 * Notes on a spec that Deployer writes whose image the service had from its owner.
 *
 * @param next The spec that is to be written.
 * @param current The spec that it replaces.
 * @returns The next spec, with the label where its image is of another repository than the owner's,
 *   and without it otherwise.
 */
export function withForeignImage(next: ServiceSpec, current: ServiceSpec): ServiceSpec {
  const [owners, image] = [ownersImage(current), currentImage(next) ?? '']
  const { [FOREIGN_IMAGE_LABEL]: noted, ...Labels } = next.Labels ?? {}
  if (!isFromSameRepository(image, owners)) {
    return { ...next, Labels: { ...Labels, [FOREIGN_IMAGE_LABEL]: `${owners} ${image}` } }
  }
  return noted === undefined ? next : { ...next, Labels }
}

/**
 * Why the log lines of failed tasks are not shown.
 *
 * @param spec The spec of their service, as it is now.
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
      ? `whoever may show them runs "docker service update --label-rm ${FOREIGN_IMAGE_LABEL} ${spec.Name}"`
      : 'whoever may show them names an image of that repository in the file of the stack'
  return `Log lines are shown only of images of the repository that the service has from its owner (${owners}), and ${image} is of another one; read them with "docker service logs", or ${remedy}`
}
