// Pure: what a caller has to know of an update that the engine paused. Writing the same image again
// resumes it, but replaces the previous spec, which is the only one that a rollback can go back to.

import { isSameImage, parseImageReference } from '../swarm/image-reference.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { SpecChange } from './spec-change.ts'

/**
 * Says that nothing is written because the update to the same image is paused, and what can be done.
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
    ...(previous === undefined ? [] : [`go back to ${previous} with ${rollback}`]),
    'send the same image with "resume": true to go on',
  ]
  const cost =
    previous === undefined ? '' : `, after which ${rollback} cannot return to ${previous}`
  return `Nothing is written: the update of service "${Spec.Name}" to ${currentImage(Spec)} is paused; ${remedies.slice(0, -1).join(', ')} or ${remedies.at(-1)}${cost}`
}

/**
 * Says what it costs to write the image of a paused update, or rollback, again.
 *
 * @param service The service before the write.
 * @param change What is written.
 * @returns One sentence; none where the write costs nothing of the kind.
 */
export function resumeWarnings(service: Service, { image }: SpecChange): readonly string[] {
  const { Spec, UpdateStatus } = service
  const state = UpdateStatus?.State
  const current = currentImage(Spec)
  const previous = otherPreviousImage(service)
  const isStopped = state === 'paused' || state === 'rollback_paused'
  return isStopped && previous !== undefined && isSame(image, current)
    ? [
        `After this write "docker service rollback ${Spec.Name}" cannot return to ${previous} any more: writing the same image again replaces the previous spec`,
      ]
    : []
}

/** An image that others wrote, and that is only forced here, may be no reference. */
function isSame(image: string, current: string | undefined): boolean {
  return (
    image === current || (current !== undefined && isSameImage(parseImageReference(image), current))
  )
}

/** What a rollback would go back to, if that is another image. */
function otherPreviousImage({ Spec, PreviousSpec }: Service): string | undefined {
  const previous = PreviousSpec ? currentImage(PreviousSpec) : undefined
  return previous === currentImage(Spec) ? undefined : previous
}
