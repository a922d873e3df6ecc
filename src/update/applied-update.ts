// An update of a service, and what applying it needs and returns.

import type { Deployments } from '../rollout/deployments.ts'
import type { KnownDeployment } from '../rollout/known-deployment.ts'
import type { Swarm } from '../swarm/swarm.ts'
import type { DeployRequest } from './deploy-request.ts'
import type { ForeignRegistry } from './registry-credentials.ts'
import type { SpecChange } from './spec-change.ts'
import type { UpdatePublisher } from './update-publisher.ts'

/** An update before it is applied. */
export interface PlannedUpdate {
  readonly request: DeployRequest
  readonly change: SpecChange
  /** The credentials that nodes pull the image with. Secret. */
  readonly registryAuth?: string | undefined
}

/** A deployment, and the warnings for its caller. */
export interface AppliedUpdate<T = KnownDeployment> {
  readonly deployment: T
  readonly warnings: readonly string[]
}

/** The dependencies of an update. */
export interface ApplyUpdateTools {
  readonly swarm: Swarm
  /** How to treat stored credentials where the registry changes. */
  readonly foreignRegistry: ForeignRegistry
  readonly deployments: Deployments
  readonly publisher: UpdatePublisher
}
