// What the Docker Engine says about the course of a rollout, under Docker's own names; only what
// is read.

/** A place in the order that the managers agreed on: a later write has a higher index. */
export interface VersionIndex {
  readonly Index: number
}

/** How often the tasks of a service are to run: one of the four is there. */
export interface ServiceMode {
  /** So many tasks, each in a slot; 1 unless told. */
  readonly Replicated?: { readonly Replicas?: number | null } | null
  /** One task on each node that is fit for it. */
  readonly Global?: object | null
  /** So many tasks that come to an end: `TotalCompletions`, or `MaxConcurrent`, or 1. */
  readonly ReplicatedJob?: {
    readonly MaxConcurrent?: number | null
    readonly TotalCompletions?: number | null
  } | null
  /** One task that comes to an end on each node that is fit for it. */
  readonly GlobalJob?: object | null
}

/** How an update, or a rollback, goes from task to task. */
export interface UpdateConfig {
  /** How long a new task is watched for failure, in nanoseconds; 0 or absent: 5 s. */
  readonly Monitor?: number
}

/** An operating system and a processor, as Go names them or as `uname` does. */
export interface Platform {
  readonly Architecture?: string
  readonly OS?: string
}

/** Where the tasks of a service may run. */
export interface Placement {
  /** Any of them will do; absent or empty: every node will. */
  readonly Platforms?: readonly Platform[] | null
}

/** What the tasks of a service are made of. */
export interface TaskSpec {
  /** What runs in the task's container; absent for plugins and network attachments. */
  readonly ContainerSpec?: {
    readonly Image: string
    /** Labels of the task's container; those of the service are elsewhere. */
    readonly Labels?: Readonly<Record<string, string>> | null
  } | null
  /**
   * Counts the times that the tasks were replaced for no other reason; absent: 0. The engine keeps 64
   * bits, and some clients write 17 digits. It must be exact, in services and tasks alike: a number
   * up to `Number.MAX_SAFE_INTEGER`, a bigint above. `JSON.parse` rounds it and `JSON.stringify`
   * throws at a bigint, so an implementation of the Swarm port needs a reader and a writer of JSON
   * that do neither.
   */
  readonly ForceUpdate?: number | bigint
  readonly Placement?: Placement | null
}

/** The parts of a `ServiceSpec` that tell what a rollout aims at. */
export interface WatchedSpec {
  readonly TaskTemplate: TaskSpec
  readonly Mode?: ServiceMode
  readonly UpdateConfig?: UpdateConfig | null
  readonly RollbackConfig?: UpdateConfig | null
}

/** What the engine says about the latest update; every write of a spec empties it. */
export interface UpdateStatus {
  /**
   * `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or
   * `rollback_completed`; an engine to come may know more.
   */
  readonly State?: string
  /** When the update began, a rollback of it included; RFC 3339. */
  readonly StartedAt?: string | null
  /** When it came to its end; RFC 3339. */
  readonly CompletedAt?: string | null
  /** Why it is in this state, in a sentence. */
  readonly Message?: string
}

/** The parts of a `Service` that tell how a rollout goes. */
export interface WatchedService {
  /** Which write this is the result of. */
  readonly Version: VersionIndex
  readonly Spec: WatchedSpec
  /** What a manual rollback would go back to; the engine's own rollback leaves none. */
  readonly PreviousSpec?: WatchedSpec | null
  readonly UpdateStatus?: UpdateStatus | null
  /** Which run of a job this is; only jobs have it. */
  readonly JobStatus?: { readonly JobIteration: VersionIndex } | null
}

/** How a task fares. */
export interface TaskStatus {
  /** When the node saw the task enter this state, by the node's clock; RFC 3339. */
  readonly Timestamp?: string
  /** Such as `pending`, `starting`, `running`, `failed`. */
  readonly State: string
  /** What the engine did last, such as `started`. */
  readonly Message?: string
  /** What went wrong, or what keeps a pending task waiting. */
  readonly Err?: string
  /** The task's container; a task that never had one may tell an exit code of 0. */
  readonly ContainerStatus?: {
    readonly ContainerID?: string
    readonly ExitCode?: number
  } | null
}

/** The parts of a `Task` that tell how a rollout goes. */
export interface Task {
  readonly ID: string
  /** When the managers made the task, by their clock; RFC 3339. */
  readonly CreatedAt: string
  /** When anything about the task changed last, by the managers' clock; RFC 3339. */
  readonly UpdatedAt: string
  readonly Spec: TaskSpec
  /** Its place in a replicated service, from 1 (in a replicated job, from 0). */
  readonly Slot?: number
  /** Where it runs; empty or absent while it waits for a node. */
  readonly NodeID?: string
  readonly Status: TaskStatus
  /** What the managers want of it: up to `running` (a job's task: `complete`), or its end. */
  readonly DesiredState: string
  /** The run of a job that it belongs to; only jobs' tasks have it. */
  readonly JobIteration?: VersionIndex | null
}

/** The parts of a `Node` that tell whether its tasks count. */
export interface Node {
  readonly ID: string
  readonly Description?: { readonly Hostname?: string; readonly Platform?: Platform }
  /** `active`, `pause` or `drain`. */
  readonly Spec?: { readonly Availability?: string }
  /** `ready`, `down`, `unknown` or `disconnected`. */
  readonly Status?: { readonly State?: string }
}
