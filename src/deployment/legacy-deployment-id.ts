// IDs of earlier versions, which contain the whole deployment. Records of a spool and callers may still
// have them.

import { forceUpdateValue, parseForceUpdate } from '../swarm/force-update.ts'
import { isServiceId, isServiceName } from '../swarm/service-name.ts'
import type { Deployment } from './deployment.ts'

const FORMAT = 1
const MAX_ID_LENGTH = 8192
const MAX_IMAGE_LENGTH = 1024

/**
 * Encodes a deployment as earlier versions did.
 *
 * @param deployment The deployment.
 * @returns Letters, digits, `-` and `_`; the same for the same deployment.
 */
export function legacyDeploymentId(deployment: Deployment): string {
  const { service, serviceId, image, resolved, previous } = deployment
  const { forceUpdate, versionIndex, startedAt, unwritten } = deployment
  const value = forceUpdateValue(forceUpdate)
  // A number where JSON.parse reads it exactly.
  const counter = typeof value === 'bigint' ? String(value) : value
  const parts = [FORMAT, service, serviceId, image, resolved, previous, counter, versionIndex]
  const text = JSON.stringify([...parts, Date.parse(startedAt), unwritten ?? ''])
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/**
 * Decodes an ID of an earlier version. Anyone can make one up: it proves nothing.
 *
 * @param id Text from a caller, or from a record of the spool.
 * @returns The deployment; undefined for an invalid ID.
 */
export function parseLegacyDeploymentId(id: string): Deployment | undefined {
  const parts = id.length > MAX_ID_LENGTH ? undefined : decode(id)
  if (!Array.isArray(parts) || parts.length !== 10 || parts[0] !== FORMAT) {
    return undefined
  }
  const [, service, serviceId, image, resolved, previous, counter, versionIndex, at, unwritten] =
    parts
  const forceUpdate = parseForceUpdate(counter)
  const isValid =
    typeof service === 'string' &&
    isServiceName(service) &&
    typeof serviceId === 'string' &&
    isServiceId(serviceId) &&
    [image, resolved, previous].every(isShortText) &&
    [versionIndex, at].every(Number.isSafeInteger) &&
    Math.abs(at) < 8.64e15 &&
    ['', 'unchanged', 'superseded'].includes(unwritten)
  if (!isValid || forceUpdate === undefined) {
    return undefined
  }
  const startedAt = new Date(at).toISOString()
  const deployment = {
    ...{ service, serviceId, image, resolved, previous, forceUpdate, versionIndex, startedAt },
    ...(unwritten === '' ? {} : { unwritten }),
  }
  return legacyDeploymentId(deployment) === id ? deployment : undefined
}

function decode(id: string): unknown {
  try {
    return JSON.parse(atob(id.replaceAll('-', '+').replaceAll('_', '/')))
  } catch {
    return undefined
  }
}

/** The previous image may be any text that an engine has accepted, all ASCII. */
function isShortText(text: unknown): boolean {
  return typeof text === 'string' && text.length <= MAX_IMAGE_LENGTH && /^[ -~]*$/.test(text)
}
