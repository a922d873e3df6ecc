// A deployment that this process knows: by name, and with its course or its end.

import { type Deployment, deploymentId } from './deployment.ts'
import type { RolloutWatch } from './rollout-watch.ts'
import type { Outcome } from './verdict.ts'

/** A deployment with its ID and its course. */
export interface KnownDeployment extends RolloutWatch {
  readonly id: string
  /** Whether this process, or the service's own record, vouches for it: an ID can be made up. */
  readonly isVouchedFor: boolean
}

/** A deployment by name: whoever keeps one keeps nothing of what was seen of the swarm. */
export type NamedDeployment = Pick<KnownDeployment, 'id' | 'deployment'>

/**
 * A deployment that has ended. It keeps nothing of what was seen of the swarm.
 *
 * @param deployment The deployment.
 * @param outcome Its end.
 * @param isVouchedFor Whether this process, or the service's record, vouches for it.
 * @returns The known deployment.
 */
export function settled(
  deployment: Deployment,
  outcome: Outcome,
  isVouchedFor: boolean,
): KnownDeployment {
  const { message = '' } = outcome
  const seen = { service: undefined, tasks: undefined, nodes: undefined, fault: undefined }
  return {
    id: deploymentId(deployment),
    deployment,
    isVouchedFor,
    ended: Promise.resolve(outcome),
    looked: Promise.resolve(),
    outcome: () => outcome,
    standing: () => ({ message, seen }),
    follow: () => () => {},
    end() {},
    stop() {},
  }
}
