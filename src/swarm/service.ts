// A Docker service and its spec: the parts that Deployer reads and writes.

import type { WatchedService, WatchedSpec } from './engine-types.ts'

/**
 * The parts of a Docker `ServiceSpec` that Deployer looks at. Whatever else the engine sent is in
 * the object too, and goes back untouched: treat unknown members as opaque.
 */
export interface ServiceSpec extends WatchedSpec {
  readonly Name: string
  readonly Labels?: Readonly<Record<string, string>> | null
}

/** The parts of a Docker `Service` that Deployer looks at. */
export interface Service extends WatchedService {
  /** 25 letters and digits, the same for the service's whole life. */
  readonly ID: string
  /** Grows with every change, Swarm's own too; an update must name the one it replaces. */
  readonly Version: { readonly Index: number }
  /** What its owner wants it to be. */
  readonly Spec: ServiceSpec
  /** When it was changed last, by the managers’ clock; RFC 3339. */
  readonly UpdatedAt?: string
  /** What it was before the last write. */
  readonly PreviousSpec?: ServiceSpec | null
}
