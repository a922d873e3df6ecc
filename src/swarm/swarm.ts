// The Swarm port: the calls of a Docker Engine in swarm mode that Deployer needs. Docker's data keeps
// Docker's names.

import type { Node, Platform, Task } from './engine-types.ts'
import type { Service, ServiceSpec } from './service.ts'

/**
 * The result of an update: `updated` when the engine accepted the spec; `out-of-sequence` when the service
 * had changed since it was inspected (often by Swarm's own orchestrator), and nothing was written.
 */
export type UpdateOutcome = 'updated' | 'out-of-sequence'

/** An image in a registry. */
export interface ResolvedImage {
  /** `sha256:…`; for an image with several platforms, the digest of their list. */
  readonly digest: string
  /** The platforms that it runs on, as the registry spells them; empty when the registry lists none. */
  readonly platforms: readonly Platform[]
}

/** Credentials for a registry. */
export interface RegistryCredentials {
  /**
   * The value of Docker's `X-Registry-Auth` header: a JSON object in base64url with padding. Secret.
   */
  readonly registryAuth?: string | undefined
}

/** A change of a service, as the engine's event stream reports it. */
export interface ServiceEvent {
  /** The service's full ID. */
  readonly serviceId: string
  readonly action: 'create' | 'update' | 'remove'
  /** The new state of the service's update, if this change changed it. */
  readonly updateState?: string
  /** The new image of the spec, if this change changed it. */
  readonly image?: string
  /** When it happened, by the leading manager's clock, in milliseconds since 1970. */
  readonly timeMs: number
}

/** Gets the events of {@link Swarm.watchServices}. */
export interface ServiceListener {
  /** The stream is open: from now on each change is reported. */
  opened(): void
  changed(event: ServiceEvent): void
}

/** Options of {@link Swarm.watchServices}. */
export interface WatchOptions {
  /** Ends the watch. */
  readonly signal: AbortSignal
  /** Changes since then are reported again; milliseconds since 1970. Default: only new ones. */
  readonly sinceMs?: number | undefined
}

/**
 * The swarm, as far as Deployer uses it. Each call except `watchServices` ends within a time limit of the
 * adapter. Unless stated otherwise a call rejects with a DeployerError `engine-error`,
 * `engine-unreachable`, `not-a-manager`, `swarm-locked` or `no-quorum`.
 */
export interface Swarm {
  /**
   * Reads a service.
   *
   * @param nameOrId A service name or ID that satisfies Docker's grammar. Like the engine, an
   *   implementation may find a service by a prefix of its ID; the caller checks that.
   * @returns The service as the engine returns it.
   * @throws DeployerError `service-not-found`, and the codes of every call.
   */
  inspectService(nameOrId: string): Promise<Service>

  /**
   * Updates a service, if it still has the version that was inspected.
   *
   * @param service The service as it was inspected; its ID and version index are used.
   * @param spec The complete next spec.
   * @param credentials Credentials for the nodes to pull the image with. Default: the service keeps its
   *   credentials.
   * @returns Whether the engine accepted the spec.
   * @throws DeployerError `service-not-found`, and the codes of every call. With `notApplied: true` when
   *   the engine is known to have refused the spec, or not to have received it; otherwise Deployer reads
   *   the service to find out. The message states it when the engine may have accepted the spec
   *   nevertheless.
   */
  updateService(
    service: Service,
    spec: ServiceSpec,
    credentials?: RegistryCredentials,
  ): Promise<UpdateOutcome>

  /**
   * Resolves an image reference with its registry, through the engine.
   *
   * @param reference A complete reference, such as `docker.io/me/blog:v1.12`.
   * @param credentials Credentials for the registry.
   * @returns Digest and platforms.
   * @throws DeployerError `image-not-found`, `image-not-readable` when the registry rejects these
   *   credentials or requires some, `registry-unavailable` or `overloaded` after at most 20 s,
   *   `invalid-image-reference`, and the codes of every call.
   */
  resolveImage(reference: string, credentials?: RegistryCredentials): Promise<ResolvedImage>

  /**
   * Lists the services with a label.
   *
   * @param label A service label and its value, such as `deployer.allowUpdates=true`.
   * @returns The services.
   */
  listServices(label: string): Promise<readonly Service[]>

  /**
   * Lists the tasks of a service, including those of earlier versions.
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
   * Reads the last log lines of a task.
   *
   * @param taskId The task's ID.
   * @param lines The maximum number of lines.
   * @returns The lines of stdout and stderr in order, without the last line break; empty when no log is
   *   available. It takes at most 3 s and has at most 8 KiB.
   */
  readTaskLog(taskId: string, lines: number): Promise<string>

  /**
   * Reports each change of each service until the stream ends or the signal aborts. An implementation
   * that cannot do this may reject, or never call `listener.opened`: then services are read every 3 s
   * while a rollout is in progress.
   *
   * @param listener Gets the events.
   * @param options When to end, and since when to report.
   * @returns A promise that resolves when the stream has ended, or rejects with the reason.
   */
  watchServices(listener: ServiceListener, options: WatchOptions): Promise<void>

  /**
   * Gets the time of the engine's clock, as far as it is known.
   *
   * @returns Milliseconds since 1970.
   */
  now(): number
}
