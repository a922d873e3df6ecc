// The swarm port: what Deployer needs of a Docker Engine in swarm mode. Docker's own data keeps
// Docker's own names.

import type { Node, Platform, Task } from './engine-types.ts'
import type { Service, ServiceSpec } from './service.ts'

/**
 * What came of an update: `updated` when the engine wrote the spec down, `out-of-sequence` when
 * somebody (Swarm's own orchestrator, often) had changed the service since it was inspected, and
 * nothing was written.
 */
export type UpdateOutcome = 'updated' | 'out-of-sequence'

/** What a registry says of an image. */
export interface ResolvedImage {
  /** `sha256:…`; of an image for several platforms, that of their list. */
  readonly digest: string
  /** What it runs on, as the registry spells it; empty when the registry does not tell. */
  readonly platforms: readonly Platform[]
}

/** Credentials for a registry. */
export interface RegistryCredentials {
  /**
   * As Docker's `X-Registry-Auth` header holds them: base64url, padded, of a JSON object. Secret.
   */
  readonly registryAuth?: string | undefined
}

/** A change of a service, as the engine tells it at once. */
export interface ServiceEvent {
  /** The service's full ID. */
  readonly serviceId: string
  readonly action: 'create' | 'update' | 'remove'
  /** The state that the service's update came into with this change, if it did. */
  readonly updateState?: string
  /** The image that the spec names with this change, if that changed. */
  readonly image?: string
  /** When it happened, by the leading manager's clock, in milliseconds since 1970. */
  readonly timeMs: number
}

/** Who is told by {@link Swarm.watchServices}. */
export interface ServiceListener {
  /** From now on no change is missed. */
  opened(): void
  changed(event: ServiceEvent): void
}

/** How {@link Swarm.watchServices} watches. */
export interface WatchOptions {
  /** Ends the watch. */
  readonly signal: AbortSignal
  /** Changes from then on are told again; milliseconds since 1970. Default: only new ones. */
  readonly sinceMs?: number | undefined
}

/**
 * The swarm, as far as Deployer uses it. Each call but `watchServices` ends within a time that the
 * adapter bounds. Unless told otherwise a call rejects with a DeployerError `engine-error`,
 * `engine-unreachable`, `not-a-manager`, `swarm-locked` or `no-quorum`.
 */
export interface Swarm {
  /**
   * Reads a service.
   *
   * @param nameOrId A service name or ID, already held to Docker's grammar. Like the engine, an
   *   implementation may find a service by a prefix of its ID; the caller checks.
   * @returns The service as the engine shows it.
   * @throws DeployerError `service-not-found`, and what every call may.
   */
  inspectService(nameOrId: string): Promise<Service>

  /**
   * Writes a spec over the very version of a service that was inspected.
   *
   * @param service The service as it was inspected; its ID and version index are used.
   * @param spec The whole next spec.
   * @param credentials What nodes are to pull the image with; without, the service keeps what it
   *   has.
   * @returns Whether the engine wrote it.
   * @throws DeployerError as every call may. The message says so when the engine may have written
   *   the spec all the same.
   */
  updateService(
    service: Service,
    spec: ServiceSpec,
    credentials?: RegistryCredentials,
  ): Promise<UpdateOutcome>

  /**
   * Asks the image's registry, through the engine, what a reference stands for.
   *
   * @param reference A whole reference, such as `docker.io/me/blog:v1.12`.
   * @param credentials What to show the registry.
   * @returns Digest and platforms.
   * @throws DeployerError `image-not-found`, `image-not-readable` when the registry refuses these
   *   credentials or wants some, `registry-unavailable` or `overloaded` after
   *   20 s at most, `invalid-image-reference`, and what every call may.
   */
  resolveImage(reference: string, credentials?: RegistryCredentials): Promise<ResolvedImage>

  /**
   * Lists services.
   *
   * @param label A service label and its value, such as `deployer.allowUpdates=true`.
   * @returns The services that have it.
   */
  listServices(label: string): Promise<readonly Service[]>

  /**
   * Lists the tasks of a service, those of earlier versions too.
   *
   * @param serviceId The service's full ID.
   * @returns The tasks; none when there is no such service.
   */
  listTasks(serviceId: string): Promise<readonly Task[]>

  /**
   * Lists the nodes of the swarm.
   *
   * @returns The nodes.
   */
  listNodes(): Promise<readonly Node[]>

  /**
   * Reads what a task wrote last.
   *
   * @param taskId The task's ID.
   * @param lines How many lines at most.
   * @returns The lines of both its outputs in order, without the last line break; empty when there
   *   is nothing to be had. It never takes longer than 3 s and never holds more than 8 KiB.
   */
  readTaskLog(taskId: string, lines: number): Promise<string>

  /**
   * Tells of every change of every service until the stream breaks or the signal aborts.
   *
   * @param listener Is told.
   * @param options When to end, and from when on.
   * @returns Nothing, once it has ended, for whatever reason but one that it rejects with.
   */
  watchServices(listener: ServiceListener, options: WatchOptions): Promise<void>

  /**
   * The engine's clock, as near as may be.
   *
   * @returns Milliseconds since 1970.
   */
  now(): number
}
