// A deployment, and the ID that contains it.

import type { Rollout } from '../convergence/rollout.ts'
import { type ForceUpdate, forceUpdateValue, parseForceUpdate } from '../swarm/force-update.ts'
import { isServiceName } from '../swarm/service-name.ts'

/** One accepted request. It contains all that any process needs to find its verdict. */
export interface Deployment {
  /** The service's name. */
  readonly service: string
  /** The service's full ID. */
  readonly serviceId: string
  /** The image exactly as the caller sent it. */
  readonly image: string
  /** The image as it was written into the spec, with its digest if that is known. */
  readonly resolved: string
  /** The previous image of the spec. */
  readonly previous: string
  /** `ForceUpdate` as it was written. */
  readonly forceUpdate: ForceUpdate
  /** The version index that the write replaced. */
  readonly versionIndex: number
  /** When it was written, by the engine's clock; RFC 3339. */
  readonly startedAt: string
  /** Why the deployment was not written to the swarm; absent if it was. */
  readonly unwritten?: Unwritten
}

/** A deployment that ended when it was created. */
export interface FinalDeployment extends Deployment {
  readonly unwritten: 'unchanged' | 'superseded'
}

/**
 * Why a deployment was not written: the service's tasks ran that image already (`unchanged`), a later
 * request was written first (`superseded`), or the service had that image, and its tasks are observed from
 * then on (`observed`).
 */
export type Unwritten = 'unchanged' | 'superseded' | 'observed'

const FORMAT = 1
const SERVICE_ID = /^[a-z0-9]{25}$/
const MAX_ID_LENGTH = 8192
const MAX_IMAGE_LENGTH = 1024

/**
 * Encodes a deployment as its ID. The ID contains the whole deployment, so that no database is needed.
 * It reveals names of images and nothing secret.
 *
 * @param deployment The deployment.
 * @returns Letters, digits, `-` and `_`; the same for the same deployment.
 */
export function deploymentId(deployment: Deployment): string {
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
 * Decodes the ID of a deployment.
 *
 * @param id Text from a caller.
 * @returns The deployment; undefined for an invalid ID.
 */
export function parseDeploymentId(id: string): Deployment | undefined {
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
    SERVICE_ID.test(serviceId) &&
    [image, resolved, previous].every(isShortText) &&
    [versionIndex, at].every(Number.isSafeInteger) &&
    Math.abs(at) < 8.64e15 &&
    ['', 'unchanged', 'superseded', 'observed'].includes(unwritten)
  if (!isValid || forceUpdate === undefined) {
    return undefined
  }
  const startedAt = new Date(at).toISOString()
  const deployment = {
    ...{ service, serviceId, image, resolved, previous, forceUpdate, versionIndex, startedAt },
    ...(unwritten === '' ? {} : { unwritten }),
  }
  return deploymentId(deployment) === id ? deployment : undefined
}

/**
 * Whether a deployment ended when it was created, so that its ID tells its verdict.
 *
 * @param deployment The deployment.
 * @returns True for `unchanged` and `superseded`.
 */
export function isFinal(deployment: Deployment): deployment is FinalDeployment {
  const { unwritten } = deployment
  return unwritten === 'unchanged' || unwritten === 'superseded'
}

/**
 * Gets the rollout of a deployment, for the judgement.
 *
 * @param deployment The deployment.
 * @returns Its rollout.
 */
export function rolloutOf(deployment: Deployment): Rollout {
  const { resolved, forceUpdate, previous, versionIndex, startedAt } = deployment
  return { image: resolved, forceUpdate, previous, versionIndex, writtenAt: startedAt }
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
