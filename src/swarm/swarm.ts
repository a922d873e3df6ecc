// Where Deployer meets the world: the least that it needs of a swarm, a notifier, a renderer and a
// logger. Docker's own data keeps Docker's own names.

import type { DeploymentEvent, DeploymentEventName } from '../notification/deployment-event.ts'
import type { Node, Platform, Task, WatchedService, WatchedSpec } from './engine-types.ts'

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

/**
 * Tells the credentials for a registry, such as those of a Docker `config.json`.
 *
 * @param domain The registry's host and optional port: `docker.io`, `localhost:5000`.
 * @returns As {@link RegistryCredentials.registryAuth}; undefined where there are none.
 */
export type RegistryAuthStore = (domain: string) => string | undefined

/**
 * Tells people of an event. It resolves once the event is delivered, or safe with somebody who
 * delivers it, and may take its time: no caller waits for it. A rejection is logged, with the event,
 * and changes nothing for the deployment. The events of a service come in order.
 */
export type Notifier = (event: DeploymentEvent) => void | Promise<void>

/** A record that a {@link Spool} kept. */
export interface SpooledRecord {
  readonly key: string
  /** What was put, as JSON has it. */
  readonly value: unknown
}

/** Keeps records until they are removed, so that they outlive the process. */
export interface Spool {
  /**
   * Keeps a record, instead of the one that the key had. Puts and removes of a key take effect in
   * the order of the calls.
   *
   * @param key 1 to 120 letters, digits, `_` and `-`.
   * @param value What JSON can hold.
   * @returns Nothing, once the record would outlive a crash, or cannot: it never rejects, for what
   *   does not last must not fail a deployment.
   */
  put(key: string, value: unknown): Promise<void>
  /**
   * Removes a record; one that is not there is none. A removal may be lost in a crash. It never
   * rejects.
   */
  remove(key: string): Promise<void>
  /**
   * Reads what an earlier process left; it never rejects.
   *
   * @returns The records in the order of their keys, without those that cannot be read.
   */
  read(): Promise<readonly SpooledRecord[]>
  /**
   * Whether a record would outlive the process now.
   *
   * @param key The key of one that was put and not removed.
   */
  isSafe(key: string): boolean
  /**
   * Calls a function with records that other processes leave after {@link Spool.read} was called.
   * Default: there are none.
   *
   * @param listener The function. A second one takes its place.
   */
  onLeft?(listener: (records: readonly SpooledRecord[]) => void): void
  /**
   * Tells whether this process is still the one to act on a record. Another one is once it took the
   * record over, because this process was stopped for so long that it seemed to be gone. It never
   * rejects. Default: always.
   *
   * @param key The key of one that was put or read, and not removed.
   */
  owns?(key: string): Promise<boolean>
}

/** Where messages go. */
export interface Destination {
  /** Names it in logs and counts; no other destination's, and nothing secret. */
  readonly name: string
  /** What it is told of. */
  readonly events: readonly DeploymentEventName[]
  /**
   * Tries once to deliver an event.
   *
   * @param event The event.
   * @param signal Ends the try.
   * @returns Nothing, once the other side has taken it.
   * @throws DeliveryFault that tells whether and when to try again; whatever else is thrown is tried
   *   again.
   */
  deliver(event: DeploymentEvent, signal: AbortSignal): Promise<void>
  /** Ends connections that are kept. */
  close?(): void
}

/** What a message template can name, under the names that templates use. */
export interface MessageData {
  /** The image exactly as the caller sent it. */
  readonly Artifact: string
  /** Who asked for it. */
  readonly Caller: string
  readonly DeploymentID: string
  /** `sha256:…`, or empty. */
  readonly Digest: string
  /** How long it took, as Go prints a time.Duration: `1m12.4s`; empty until the end. */
  readonly Duration: string
  /** RFC 3339; empty until the end. */
  readonly EndedAt: string
  /** Why it did not end well, in one line; empty where it did. */
  readonly Error: string
  /** `accepted`, `converged`, `rolled-back` and so on. */
  readonly Event: DeploymentEventName
  /** The same however often the message comes. */
  readonly MessageID: string
  /** What the caller sent along: `{{.Meta.commit}}`. */
  readonly Meta: Readonly<Record<string, string>>
  /** The image that the service had before. */
  readonly Previous: string
  readonly ServiceID: string
  /** The service's name. */
  readonly ServiceName: string
  /** RFC 3339. */
  readonly StartedAt: string
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
