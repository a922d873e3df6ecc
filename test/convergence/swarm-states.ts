// What the engine shows of a rollout, in few words, and the judgement of it.

import { judge } from '../../src/convergence/judge.ts'
import type { Rollout } from '../../src/convergence/rollout.ts'
import type { Convergence } from '../../src/convergence/state.ts'
import type { Node, Task, WatchedService, WatchedSpec } from '../../src/swarm/engine-types.ts'

// Times are seconds after the write. The names of images are short: `new` is the rollout's, `old`
// the one before it.
export const WRITE: number = Date.parse('2026-01-01T00:00:00Z')
const NEW_SPEC_VERSION = 11
export const rollout: Rollout = {
  image: 'new',
  forceUpdate: '0',
  previous: 'old',
  versionIndex: 10,
  writtenAt: at(0),
}

export function at(seconds: number): string {
  return new Date(WRITE + seconds * 1000).toISOString()
}

export function spec(
  image: string,
  more: Partial<WatchedSpec> & { force?: number } = {},
): WatchedSpec {
  const { force, ...rest } = more
  return {
    TaskTemplate: { ContainerSpec: { Image: image }, ...(force ? { ForceUpdate: force } : {}) },
    Mode: { Replicated: { Replicas: 2 } },
    ...rest,
  }
}

export interface ServiceParts {
  readonly spec?: WatchedSpec
  readonly previous?: WatchedSpec
  /** A state, and the seconds at which the update began and came to its end. */
  readonly status?: readonly [state: string, startedAt?: number, completedAt?: number]
  readonly version?: number
  readonly iteration?: number
}

export function service(parts: ServiceParts = {}): WatchedService {
  const { status, previous, iteration } = parts
  const [State, startedAt = 0.01, completedAt] = status ?? []
  return {
    Version: { Index: parts.version ?? NEW_SPEC_VERSION },
    Spec: parts.spec ?? spec('new'),
    ...(previous && { PreviousSpec: previous }),
    ...(State !== undefined && {
      UpdateStatus: {
        State,
        StartedAt: at(startedAt),
        ...(completedAt !== undefined && { CompletedAt: at(completedAt) }),
        Message: `engine: ${State}`,
      },
    }),
    ...(iteration !== undefined && {
      JobStatus: { JobIteration: iteration === 0 ? {} : { Index: iteration } },
    }),
  } as WatchedService
}

export interface TaskParts {
  readonly made?: number
  readonly since?: number
  readonly node?: string
  readonly error?: string
  readonly iteration?: number
  readonly force?: number
  readonly exitCode?: number
}

let taskCount = 0

/** `task('2 new running/starting')`: slot (or `-`), image, desired state, state. */
export function task(words: string, parts: TaskParts = {}): Task {
  const [slot = '', image = '', states = ''] = words.split(' ')
  const [desired = '', state = ''] = states.split('/')
  const made = parts.made ?? (image === 'old' ? -1000 : 1)
  const since = parts.since ?? made + 1
  taskCount += 1
  return {
    ID: `task${taskCount}`,
    CreatedAt: at(made),
    UpdatedAt: at(since),
    Spec: spec(image, { force: parts.force ?? 0 }).TaskTemplate,
    ...(slot !== '-' && { Slot: Number(slot) }),
    ...(parts.node !== undefined && { NodeID: parts.node }),
    DesiredState: desired,
    Status: {
      State: state,
      Timestamp: at(since),
      ...(parts.error !== undefined && { Err: parts.error }),
      ...(parts.exitCode !== undefined && {
        ContainerStatus: { ContainerID: 'c', ExitCode: parts.exitCode },
      }),
    },
    ...(parts.iteration !== undefined && {
      JobIteration: parts.iteration === 0 ? {} : { Index: parts.iteration },
    }),
  } as Task
}

export const tasks = (...words: readonly string[]): readonly Task[] =>
  words.map((line) => task(line))
export const bothRun: readonly Task[] = tasks('1 new running/running', '2 new running/running')
export const bothOldRun: readonly Task[] = tasks('1 old running/running', '2 old running/running')

export function look(
  parts: ServiceParts,
  seen: readonly Task[] | undefined,
  {
    now = 12,
    nodes,
    written = rollout,
  }: { now?: number; nodes?: readonly Node[]; written?: Rollout } = {},
): Convergence {
  return judge(written, { service: service(parts), tasks: seen, nodes, now: WRITE + now * 1000 })
}
