// A deployment, and its ID.

import type { Rollout } from '../convergence/rollout.ts'
import type { ForceUpdate } from '../swarm/force-update.ts'

/** What identifies a deployment: which version of which service it replaced, and when. */
export interface DeploymentKey {
  /** The service's full ID. */
  readonly serviceId: string
  /** The version index that the write replaced. */
  readonly versionIndex: number
  /** When it was written, by the engine's clock; RFC 3339. */
  readonly startedAt: string
  /** Why the deployment was not written to the swarm; absent if it was. */
  readonly unwritten?: Unwritten
}

/** One accepted request. */
export interface Deployment extends DeploymentKey {
  /** The service's name. */
  readonly service: string
  /** The image exactly as the caller sent it. */
  readonly image: string
  /** The image as it was written into the spec, with its digest if that is known. */
  readonly resolved: string
  /** The previous image of the spec. */
  readonly previous: string
  /** `ForceUpdate` as it was written. */
  readonly forceUpdate: ForceUpdate
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

const REASONS: readonly Unwritten[] = ['unchanged', 'superseded', 'observed']
// The latest time of a JavaScript date, in milliseconds since 1970.
const LATEST_MS = 8.64e15
const ID =
  /^(?<serviceId>[a-z0-9]{25})-(?<index>[0-9]{1,16})-(?<start>[0-9a-z]{1,11})(?:-(?<letter>[uso]))?$/

/**
 * Gets the ID of a deployment: the service's ID, the version index that was replaced, the start in
 * milliseconds in base 36, and a suffix for a deployment that was not written.
 *
 * @param key What identifies the deployment.
 * @returns About 45 lower-case letters, digits and `-`, such as `4cdgfyky7ozwh3htjfw0d12qv-1042-mi3x5k2a`.
 */
export function deploymentId({
  serviceId,
  versionIndex,
  startedAt,
  unwritten,
}: DeploymentKey): string {
  const start = Date.parse(startedAt).toString(36)
  const suffix = unwritten === undefined ? '' : `-${unwritten.slice(0, 1)}`
  return `${serviceId}-${versionIndex}-${start}${suffix}`
}

/**
 * Reads the ID of a deployment. Anyone can make one up: it proves nothing.
 *
 * @param id Text from a caller.
 * @returns What identifies the deployment; undefined for an invalid ID.
 */
export function parseDeploymentId(id: string): DeploymentKey | undefined {
  const { serviceId = '', index, start = '', letter } = ID.exec(id)?.groups ?? {}
  const [versionIndex, startMs] = [Number(index), Number.parseInt(start, 36)]
  if (!Number.isSafeInteger(versionIndex) || !(startMs < LATEST_MS)) {
    return undefined
  }
  const unwritten = REASONS.find((reason) => reason.slice(0, 1) === letter)
  const key = {
    ...{ serviceId, versionIndex, startedAt: new Date(startMs).toISOString() },
    ...(unwritten === undefined ? {} : { unwritten }),
  }
  return deploymentId(key) === id ? key : undefined
}

/**
 * Whether a deployment ended when it was created, so that its ID contains its verdict.
 *
 * @param deployment The deployment.
 * @returns True for `unchanged` and `superseded`.
 */
export function isFinal<T extends DeploymentKey>(
  deployment: T,
): deployment is T & Pick<FinalDeployment, 'unwritten'> {
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
  const { resolved, forceUpdate, previous, versionIndex, startedAt, unwritten } = deployment
  const isObserved = unwritten === 'observed'
  return { image: resolved, forceUpdate, previous, versionIndex, writtenAt: startedAt, isObserved }
}
