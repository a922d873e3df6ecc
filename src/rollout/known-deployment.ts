// A deployment that this process knows: by name, and with its course or its end.

import { type Deployment, deploymentId } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { RolloutWatch } from './rollout-watch.ts'

/** A deployment with its ID and its course. */
export interface KnownDeployment extends RolloutWatch {
  readonly id: string
}

/** A deployment by name: whoever keeps one keeps nothing of what was seen of the swarm. */
export type NamedDeployment = Pick<KnownDeployment, 'id' | 'deployment'>

/** Why a deployment was never written. */
export const REASONS = {
  unchanged: 'The service had this very image already',
  superseded: 'A later request was written first',
} as const

/**
 * A deployment that has ended. It keeps nothing of what was seen of the swarm.
 *
 * @param deployment The deployment.
 * @param outcome Its end.
 * @returns The known deployment.
 */
export function settled(deployment: Deployment, outcome: Outcome): KnownDeployment {
  const { message = '' } = outcome
  const snapshot = { service: undefined, tasks: undefined, nodes: undefined, error: undefined }
  return {
    id: deploymentId(deployment),
    deployment,
    ended: Promise.resolve(outcome),
    observed: Promise.resolve(),
    outcome: () => outcome,
    progress: () => ({ message, snapshot }),
    follow: () => () => {},
    end() {},
    stop() {},
  }
}
