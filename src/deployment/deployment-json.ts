// Checks deployments that are read from JSON.

import { isForceUpdate } from '../swarm/force-update.ts'
import { type Deployment, deploymentId, parseDeploymentId } from './deployment.ts'

const TEXTS = ['service', 'serviceId', 'image', 'resolved', 'previous', 'startedAt'] as const

/**
 * Whether a value that was read from JSON is a deployment.
 *
 * @param value Any JSON value.
 * @returns True when it has all members of a deployment.
 */
export function isDeployment(value: unknown): value is Deployment {
  const one = (value ?? {}) as Deployment
  return (
    TEXTS.every((name) => typeof one[name] === 'string') &&
    !Number.isNaN(Date.parse(one.startedAt)) &&
    isForceUpdate(one.forceUpdate) &&
    parseDeploymentId(deploymentId(one)) !== undefined
  )
}
