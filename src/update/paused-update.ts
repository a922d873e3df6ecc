// Pure: messages about an update that the engine paused. Writing the same image again resumes it, but
// replaces the previous spec, which is the only one that a rollback can return to.

import { isSameImage, parseImageReference } from '../swarm/image-reference.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { SpecChange } from './spec-change.ts'

/**
 * Describes that nothing is written because the update to the same image is paused, and what to do.
 *
 * @param service The service, whose update is paused.
 * @returns The sentence.
 */
export function pausedNotice(service: Service): string {
  const { Spec } = service
  const previous = otherPreviousImage(service)
  const rollback = `"docker service rollback ${Spec.Name}"`
  const remedies = [
    'deploy another image',
    ...(previous === undefined ? [] : [`return to ${previous} with ${rollback}`]),
    'send the same image with "resume": true to continue',
  ]
  const cost =
    previous === undefined ? '' : `, after which ${rollback} cannot return to ${previous}`
  return `Nothing is written: the update of service "${Spec.Name}" to ${currentImage(Spec)} is paused; ${remedies.slice(0, -1).join(', ')} or ${remedies.at(-1)}${cost}`
}

/**
 * Warns that writing the image of a paused update, or rollback, again replaces the previous spec.
 *
 * @param service The service before the write.
 * @param change What is written.
 * @returns One sentence; none where the previous spec stays useful.
 */
export function resumeWarnings(service: Service, { image }: SpecChange): readonly string[] {
  const { Spec, UpdateStatus } = service
  const state = UpdateStatus?.State
  const current = currentImage(Spec)
  const previous = otherPreviousImage(service)
  const isStopped = state === 'paused' || state === 'rollback_paused'
  return isStopped && previous !== undefined && isSame(image, current)
    ? [
        `After this write "docker service rollback ${Spec.Name}" can no longer return to ${previous}: writing the same image again replaces the previous spec`,
      ]
    : []
}

/** An image that others wrote, and that is only forced here, may not be a valid reference. */
function isSame(image: string, current: string | undefined): boolean {
  return (
    image === current || (current !== undefined && isSameImage(parseImageReference(image), current))
  )
}

/** The image that a rollback would return to, if it is another one. */
function otherPreviousImage({ Spec, PreviousSpec }: Service): string | undefined {
  const previous = PreviousSpec ? currentImage(PreviousSpec) : undefined
  return previous === currentImage(Spec) ? undefined : previous
}
