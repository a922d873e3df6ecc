// The parts of Docker's data about a rollout that Deployer reads, with Docker's names.

/** The position of a write in the managers' log: a later write has a higher index. */
export interface VersionIndex {
  readonly Index: number
}

/** The mode of a service: one of the four members is present. */
export interface ServiceMode {
  /** The number of tasks, each in a slot. Default: 1. */
  readonly Replicated?: { readonly Replicas?: number | null } | null
  /** One task on each suitable node. */
  readonly Global?: object | null
  /** The number of tasks to complete: `TotalCompletions`, or `MaxConcurrent`, or 1. */
  readonly ReplicatedJob?: {
    readonly MaxConcurrent?: number | null
    readonly TotalCompletions?: number | null
  } | null
  /** One task to complete on each suitable node. */
  readonly GlobalJob?: object | null
}

/** The configuration of updates or of rollbacks. */
export interface UpdateConfig {
  /** How long a new task is monitored for failure, in nanoseconds; 0 or absent: 5 s. */
  readonly Monitor?: number
  /** How long the engine waits after each task before it updates the next one, in nanoseconds; absent: 0. */
  readonly Delay?: number
}

/** An operating system and a processor architecture, with Go's names or those of `uname`. */
export interface Platform {
  readonly Architecture?: string
  readonly OS?: string
}

/** Where the tasks of a service may run. */
export interface Placement {
  /** Each of them is suitable; absent or empty: every node is. */
  readonly Platforms?: readonly Platform[] | null
}

/** How tasks are restarted that end by themselves. */
export interface RestartPolicy {
  /** `none`, `on-failure` or `any`; absent: `any`. */
  readonly Condition?: string | null
  /** How long the engine waits before it restarts a task, in nanoseconds; absent: 5 s. */
  readonly Delay?: number | null
}

/** The template of a service's tasks, or the spec of a task. */
export interface TaskSpec {
  /** The container of the task; absent for plugins and network attachments. */
  readonly ContainerSpec?: {
    readonly Image: string
    /** Labels of the task's container, not of the service. */
    readonly Labels?: Readonly<Record<string, string>> | null
  } | null
  /**
   * A counter whose change replaces all tasks; absent: 0. It has 64 bits, and some clients write 17
   * digits. It must be exact in services and tasks: a number up to `Number.MAX_SAFE_INTEGER`, a bigint
   * above. `JSON.parse` rounds it and `JSON.stringify` throws for a bigint, so an implementation of the
   * Swarm port needs its own parser and serializer of JSON.
   */
  readonly ForceUpdate?: number | bigint
  readonly Placement?: Placement | null
  readonly RestartPolicy?: RestartPolicy | null
}

/** The parts of a `ServiceSpec` that determine the target of a rollout. */
export interface WatchedSpec {
  readonly TaskTemplate: TaskSpec
  readonly Mode?: ServiceMode
  readonly UpdateConfig?: UpdateConfig | null
  readonly RollbackConfig?: UpdateConfig | null
}

/** The status of the latest update. Each write of a spec clears it. */
export interface UpdateStatus {
  /**
   * `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or
   * `rollback_completed`; future engines may have more.
   */
  readonly State?: string
  /** When the update started; a rollback of it keeps that time. RFC 3339. */
  readonly StartedAt?: string | null
  /** When it ended; RFC 3339. */
  readonly CompletedAt?: string | null
  /** Why it is in this state. */
  readonly Message?: string
}

/** The parts of a `Service` that show the state of a rollout. */
export interface WatchedService {
  /** The write that this is the result of. */
  readonly Version: VersionIndex
  readonly Spec: WatchedSpec
  /** The target of a manual rollback. The engine's own rollback removes it. */
  readonly PreviousSpec?: WatchedSpec | null
  readonly UpdateStatus?: UpdateStatus | null
  /** The current iteration of a job; absent for other services. */
  readonly JobStatus?: { readonly JobIteration: VersionIndex } | null
}

/** The state of a task. */
export interface TaskStatus {
  /** When the task entered this state, by the node's clock; RFC 3339. */
  readonly Timestamp?: string
  /** Such as `pending`, `starting`, `running`, `failed`. */
  readonly State: string
  /** The last status message of the engine, such as `started`. */
  readonly Message?: string
  /** The error, or what a pending task waits for. */
  readonly Err?: string
  /** The task's container. A task that never had one may have an exit code of 0. */
  readonly ContainerStatus?: {
    readonly ContainerID?: string
    readonly ExitCode?: number
  } | null
}

/** The parts of a `Task` that show the state of a rollout. */
export interface Task {
  readonly ID: string
  /** When the managers created the task, by their clock; RFC 3339. */
  readonly CreatedAt: string
  /** The time of the last change of the task, by the managers' clock; RFC 3339. */
  readonly UpdatedAt: string
  readonly Spec: TaskSpec
  /** Its place in a replicated service, from 1 (in a replicated job, from 0). */
  readonly Slot?: number
  /** Its node; empty or absent while it waits for one. */
  readonly NodeID?: string
  readonly Status: TaskStatus
  /** The state that the managers want: up to `running` (a job's task: `complete`), or an end state. */
  readonly DesiredState: string
  /** The iteration of a job that it belongs to; absent for other tasks. */
  readonly JobIteration?: VersionIndex | null
}

/** The parts of a `Node` that determine whether its tasks count. */
export interface Node {
  readonly ID: string
  readonly Description?: { readonly Hostname?: string; readonly Platform?: Platform }
  /** `active`, `pause` or `drain`. */
  readonly Spec?: { readonly Availability?: string }
  /** `ready`, `down`, `unknown` or `disconnected`. */
  readonly Status?: { readonly State?: string }
}
