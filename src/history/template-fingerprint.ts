// A fingerprint of a task template without what a deployment changes.

import type { ServiceSpec } from '../swarm/service.ts'
import { sha256 } from '../text/sha256.ts'

/**
 * Computes the fingerprint of the task template of a service, without image, platforms and `ForceUpdate`.
 *
 * @param spec The service's spec.
 * @returns 14 hexadecimal digits. The order of members does not matter, nor whether a member is absent,
 *   null or empty, as engines differ in that.
 */
export function templateFingerprint({ TaskTemplate }: ServiceSpec): string {
  const { ForceUpdate: _, ContainerSpec, Placement, ...template } = TaskTemplate
  const { Image: _image, ...container } = ContainerSpec ?? { Image: '' }
  const { Platforms: _platforms, ...placement } = Placement ?? {}
  const rest = { ...template, ContainerSpec: container, Placement: placement }
  return sha256(canonical(rest) ?? '{}').slice(0, 14)
}

/** JSON with sorted members, without empty ones; undefined for an empty value. */
function canonical(value: unknown): string | undefined {
  if (Array.isArray(value)) {
    return value.length === 0
      ? undefined
      : `[${value.map((one) => canonical(one) ?? 'null').join(',')}]`
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, member]) => {
        const text = canonical(member)
        return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`]
      })
    return members.length === 0 ? undefined : `{${members.join(',')}}`
  }
  if (value === null || value === undefined) {
    return undefined
  }
  // An engine's number is a bigint where a JavaScript number would not be exact.
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value)
}
