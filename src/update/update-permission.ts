// Pure: why a service cannot be updated, and what its owner can do about that.

import type { ServiceSpec } from '../swarm/service.ts'
import { ALLOW_UPDATES_LABEL, allowsUpdates, currentImage } from '../swarm/service-spec.ts'

/** Why a service cannot be updated. */
export interface UpdateObstacle {
  readonly code: 'updates-not-allowed' | 'unsupported-service'
  /** The reason, as the part of a sentence. */
  readonly reason: string
  /** How to allow updates, as the part of a sentence. */
  readonly remedy: string
}

const MAX_SHOWN = 100

/**
 * Finds the reason why a service cannot be updated.
 *
 * @param spec The service's spec.
 * @returns The reason and a remedy; undefined when the service can be updated.
 */
export function findUpdateObstacle(spec: ServiceSpec): UpdateObstacle | undefined {
  if (!allowsUpdates(spec)) {
    return {
      code: 'updates-not-allowed',
      reason: whyNotAllowed(spec),
      remedy: `run: docker service update --label-add ${ALLOW_UPDATES_LABEL}=true ${spec.Name}`,
    }
  }
  if (currentImage(spec) === undefined) {
    return {
      code: 'unsupported-service',
      reason: 'it runs a plugin or a network attachment, not a container image',
      remedy: 'choose another service',
    }
  }
  return undefined
}

function whyNotAllowed({ Labels, TaskTemplate }: ServiceSpec): string {
  const value = labelOf(Labels)
  if (value !== undefined) {
    const quotes = /^(["']).*\1$/s.test(value)
      ? ' (the quotation marks are part of the value; in a YAML list write the label without them)'
      : ''
    return `its label ${ALLOW_UPDATES_LABEL} has the value ${shown(value)}${quotes}, and only the value "true" allows updates`
  }
  const ofContainer = labelOf(TaskTemplate.ContainerSpec?.Labels)
  return ofContainer === undefined
    ? 'its owner has not allowed it'
    : `the label ${ALLOW_UPDATES_LABEL} (${shown(ofContainer)}) is on its containers, and only a label of the service with the value "true" allows updates; in a stack file it belongs under deploy.labels`
}

function labelOf(labels: Readonly<Record<string, string>> | null | undefined): string | undefined {
  const isThere = Object.hasOwn(labels ?? {}, ALLOW_UPDATES_LABEL)
  return isThere ? labels?.[ALLOW_UPDATES_LABEL] : undefined
}

/** Writes a value as JSON in ASCII, so that white space and invisible characters are visible. */
function shown(value: string): string {
  const text = JSON.stringify(value.slice(0, MAX_SHOWN)).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return value.length > MAX_SHOWN ? `${text}…` : text
}
