// An update of a service, and what applying it needs and returns.

import type { KnownDeployment } from '../rollout/known-deployment.ts'
import type { LastReadings, PredecessorTools } from '../rollout/predecessors.ts'
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
  readonly received: ReceivedRequest
  /** What was read immediately before the service. */
  readonly lastReadings?: LastReadings | undefined
}

/** When a request came in, and which version of its service it read first. */
export interface ReceivedRequest {
  /** By the engine's clock, in milliseconds since 1970. */
  readonly atMs: number
  readonly versionIndex: number
}

/** A deployment, and the warnings for its caller. */
export interface AppliedUpdate<T = KnownDeployment> {
  readonly deployment: T
  readonly warnings: readonly string[]
}

/** The dependencies of an update. */
export interface ApplyUpdateTools extends PredecessorTools {
  /** How to treat stored credentials where the registry changes. */
  readonly foreignRegistry: ForeignRegistry
  readonly publisher: UpdatePublisher
  /** How many entries the record on a service has at most. */
  readonly maxRecordEntries: number
}
