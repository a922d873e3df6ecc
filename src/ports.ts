// Where Deployer meets the world: the least that it needs of a swarm, a notifier, a renderer and a
// logger. Docker's own data keeps Docker's own names.

/**
 * The parts of a Docker `ServiceSpec` that Deployer looks at. Whatever else the engine sent is in
 * the object too, and goes back untouched: treat unknown members as opaque.
 */
export interface ServiceSpec {
  readonly Name: string
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly TaskTemplate: {
    readonly ContainerSpec?: { readonly Image: string }
  }
}

/** The parts of a Docker `Service` that Deployer looks at. */
export interface Service {
  /** 25 letters and digits, the same for the service's whole life. */
  readonly ID: string
  /** Grows with every change, Swarm's own too; an update must name the one it replaces. */
  readonly Version: { readonly Index: number }
  /** What its owner wants it to be. */
  readonly Spec: ServiceSpec
}

/**
 * What came of an update: `updated` when the engine wrote the spec down, `out-of-sequence` when
 * somebody (Swarm's own orchestrator, often) had changed the service since it was inspected, and
 * nothing was written.
 */
export type UpdateOutcome = 'updated' | 'out-of-sequence'

/** The swarm, as far as Deployer uses it. Each call ends within a time that the adapter bounds. */
export interface Swarm {
  /**
   * Reads a service.
   *
   * @param nameOrId A service name or ID, already held to Docker's grammar. Like the engine, an
   *   implementation may find a service by a prefix of its ID; the caller checks.
   * @returns The service as the engine shows it.
   * @throws DeployerError `service-not-found`, `engine-error`, `engine-unreachable`,
   *   `not-a-manager`, `swarm-locked` or `no-quorum`.
   */
  inspectService(nameOrId: string): Promise<Service>

  /**
   * Writes a spec over the very version of a service that was inspected.
   *
   * @param service The service as it was inspected; its ID and version index are used.
   * @param spec The whole next spec.
   * @returns Whether the engine wrote it.
   * @throws DeployerError as `inspectService` does. The message says so when the engine may have
   *   written the spec all the same.
   */
  updateService(service: Service, spec: ServiceSpec): Promise<UpdateOutcome>
}

/** Something that happened and that people want to hear of. */
export interface DeploymentEvent {
  /** `accepted`: the engine took the update, or the service had that image already. */
  readonly event: 'accepted'
  /** The service's name. */
  readonly service: string
  /** The service's full ID. */
  readonly serviceId: string
  /** The image exactly as the caller sent it. */
  readonly image: string
  /** The image that the spec named before. */
  readonly previous: string
}

/**
 * Tells people of an event. It may take its time: nobody waits for it. A rejection is logged and
 * changes nothing for the deployment.
 */
export type Notifier = (event: DeploymentEvent) => void | Promise<void>

/** What a message template can name, under the names that templates use. */
export interface MessageData {
  /** The image exactly as the caller sent it. */
  readonly Artifact: string
  /** The service's name. */
  readonly ServiceName: string
}

/** A compiled message template. */
export interface Renderer {
  /**
   * @param data The values of the template's variables.
   * @returns The message.
   */
  render(data: MessageData): string
}

/** Structured logging, in the shape of pino's methods: fields first, then a constant message. */
export interface Logger {
  /** An accepted deployment. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A refusal that is the caller's to mend. */
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A failure of the engine, a message that was not delivered, a fault of Deployer. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}
