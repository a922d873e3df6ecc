// An entry of a service's history: one deployment, or one change that others made.

import type { EndVerdict } from '../deployment/verdict.ts'
import type { ForceUpdate } from '../swarm/force-update.ts'

/** Who changed the service: a caller of Deployer, or another client of the engine. */
export type HistoryKind = 'deploy' | 'outside'

/** A deployment in the history of its service. A member is absent where it is not known. */
export interface HistoryEntry {
  /** The version index that the write replaced. With `startedAt` it identifies the deployment. */
  readonly versionIndex: number
  /** When it was written, by the engine's clock; RFC 3339. */
  readonly startedAt: string
  readonly kind?: HistoryKind
  /** The image exactly as the caller sent it. */
  readonly image?: string
  /** The image as it was written into the spec, with its digest if that was known. */
  readonly resolved?: string
  /** The previous image of the spec. */
  readonly previous?: string
  /** `ForceUpdate` as it was written. */
  readonly forceUpdate?: ForceUpdate
  /** The name of the credential that the caller presented; empty for a change that others made. */
  readonly caller?: string
  /** When Deployer found the verdict, by the engine's clock; RFC 3339. */
  readonly endedAt?: string
  readonly verdict?: EndVerdict
  /** Why it did not succeed, in one line: state, error of the engine, exit code. Never log lines. */
  readonly error?: string
  /** A hash of the idempotency key, a dot, and one of the request. */
  readonly key?: string
  /** `commit` of the request's metadata, at most 200 bytes. */
  readonly commit?: string
  /** `run` of the request's metadata, at most 200 bytes. */
  readonly run?: string
  /** A hash of the task template without image, platforms and `ForceUpdate`. */
  readonly template?: string
}
