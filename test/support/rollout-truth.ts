// What truly became of each write of a Deployer: the fake swarm knows, whatever the Deployers know.

import type { EndVerdict } from '../../src/deployment/verdict.ts'
import type { FakeSwarm } from './fake-swarm.ts'
import { isOtherTemplate } from './fake-task-status.ts'

/** What can happen to a write. */
export type Happening =
  | 'a task failed'
  | 'another client cleared the status'
  | 'completed'
  | 'ran without a status'
  | 'paused'
  | 'completed with failures'
  | 'rollback started'
  | 'rolled back'
  | 'rollback paused'
  | 'rolled back by hand'
  | 'ran after a rollback to it'
  | 'replaced by a deployment'
  | 'replaced by another client'

/** A write of a Deployer that the engine took. */
export interface TrueWrite {
  /** When it was sent, which no two writes have in common; RFC 3339. */
  readonly startedAt: string
  readonly process: string
  readonly atMs: number
  /** What happened to it, in order. */
  readonly happened: readonly { readonly what: Happening; readonly atMs: number }[]
}

/** The truth about one service. */
export interface RolloutTruth {
  /** The writes so far, oldest first. */
  readonly writes: readonly TrueWrite[]
  /** A Deployer's write was applied. */
  written(startedAt: string, process: string): void
  /** Another client has changed the task template, or has rolled it back. */
  replaced(happening: Happening): void
  /** Something happened to the newest write, if it is a Deployer's. */
  happened(happening: Happening): void
  /** Looks at the service after a step. */
  observe(): void
  /** Whether a verdict is true of a write. `unknown` is true of all, and counted elsewhere. */
  allows(write: TrueWrite, verdict: string, timeoutMs: number): boolean
}

// The engine watches a task for that long.
const MONITOR_MS = 5000
const NO_ENDS = /^(ran|a task failed|another client)/

interface Write extends TrueWrite {
  readonly happened: { readonly what: Happening; readonly atMs: number }[]
  readonly template: ReturnType<FakeSwarm['spec']>['TaskTemplate']
}

/**
 * Records what becomes of the writes of one service.
 *
 * @param swarm The fake swarm.
 * @param name The service's name.
 * @returns The truth, without writes.
 */
export function createRolloutTruth(swarm: FakeSwarm, name: string): RolloutTruth {
  const writes: Write[] = []
  let current: Write | undefined

  function add(write: Write | undefined, what: Happening): void {
    write?.happened.push({ what, atMs: swarm.clock() })
  }

  const happened = (what: Happening): void => add(current, what)

  return {
    writes,
    happened,

    written(startedAt, process) {
      happened('replaced by a deployment')
      const template = swarm.spec(name).TaskTemplate
      current = { startedAt, process, atMs: swarm.clock(), happened: [], template }
      writes.push(current)
    },

    replaced(happening) {
      happened(happening)
      current = undefined
    },

    observe() {
      const { Spec, UpdateStatus } = swarm.service(name)
      const write = writes.findLast(({ template }) => !isOtherTemplate(template, Spec.TaskTemplate))
      const tasks = swarm.tasks(name).filter(({ DesiredState }) => DesiredState === 'running')
      const allRun = tasks.every(
        ({ Status, Spec: spec }) =>
          Status.State === 'running' && !isOtherTemplate(spec, Spec.TaskTemplate),
      )
      const { Replicas = 1 } = Spec.Mode?.Replicated ?? {}
      if (allRun && tasks.length === Replicas) {
        if (UpdateStatus === undefined) add(write, 'ran without a status')
        if (write !== current) add(write, 'ran after a rollback to it')
      }
    },

    allows({ happened: events, atMs }, verdict, timeoutMs) {
      const all = events.map(({ what }) => what)
      const completedMs = events.find(({ what }) => what === 'completed')?.atMs ?? Infinity
      const [first, second] = all.filter((one) => !NO_ENDS.test(one))
      switch (verdict as EndVerdict) {
        case 'converged':
          return first === 'completed' || all.some((one) => one.startsWith('ran'))
        case 'rolled-back':
          return first === 'rollback started'
        case 'failed':
          return (
            first === 'completed with failures' ||
            events.some(
              ({ what, atMs: failedMs }) =>
                what === 'a task failed' && Math.abs(failedMs - completedMs) < MONITOR_MS,
            ) ||
            (first === 'rollback started' && all.includes('rollback paused'))
          )
        case 'paused':
          return first === 'paused'
        case 'superseded':
          // Another write came before an end, or while the engine rolled back.
          return (
            isReplacement(first ?? '') ||
            first === 'rolled back by hand' ||
            // A process that looks then cannot tell an ended rollout from one in progress.
            (all.includes('another client cleared the status') && all.some(isReplacement)) ||
            // The service that would show how it ended may be read after the other write only.
            second === 'replaced by another client' ||
            second === 'rolled back by hand' ||
            // After a failure, the tasks are watched for some seconds more.
            (first === 'completed' && all.includes('a task failed') && second !== undefined) ||
            (first === 'rollback started' && !all.slice(0, 2).includes('rolled back'))
          )
        case 'timed-out':
          return swarm.clock() >= atMs + timeoutMs && !(completedMs < atMs + timeoutMs)
        default:
          return true
      }
    },
  }
}

function isReplacement(what: string): boolean {
  return what.startsWith('replaced')
}
