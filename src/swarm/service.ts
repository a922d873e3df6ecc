// A Docker service and its spec: the parts that Deployer reads and writes.

import type { WatchedService, WatchedSpec } from './engine-types.ts'

/**
 * The parts of a Docker `ServiceSpec` that Deployer reads. The object also has all other members that the
 * engine sent, and they are sent back unchanged: treat unknown members as opaque.
 */
export interface ServiceSpec extends WatchedSpec {
  readonly Name: string
  readonly Labels?: Readonly<Record<string, string>> | null
}

/** The parts of a Docker `Service` that Deployer reads. */
export interface Service extends WatchedService {
  /** 25 letters and digits; it never changes. */
  readonly ID: string
  /** Increases with each change, including Swarm's own; an update must contain the index it replaces. */
  readonly Version: { readonly Index: number }
  /** The desired state of the service. */
  readonly Spec: ServiceSpec
  /** The time of the last change, by the managers' clock; RFC 3339. */
  readonly UpdatedAt?: string
  /** The spec before the last write. */
  readonly PreviousSpec?: ServiceSpec | null
}
