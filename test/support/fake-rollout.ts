// The course of a rollout, steered by hand: the engine's words about it, and its tasks.

import type { Node, UpdateStatus } from '../../src/swarm/engine-types.ts'
import { isJob, type Place, placesOf } from './fake-placement.ts'
import type { FakeService, FakeServices } from './fake-services.ts'
import type { FailOptions } from './fake-task-status.ts'
import type { FakeTask, FakeTasks } from './fake-tasks.ts'

/** What a test can make of the rollout of a service; each step begins it, should it not have. */
export interface FakeRollout {
  /** `updating`; nothing for a job or for 0 replicas, as on the engine. */
  begin(): void
  /** Old tasks are shut down and new ones prepared. Default: in every place. */
  start(place?: Place): void
  /** The same, and the new ones run (a job's: are complete), if some node takes them. */
  run(place?: Place): void
  /** New tasks fail, and the engine restarts them unless told. */
  fail(options?: FailOptions): void
  /** All run, and `completed`; it goes on `updating` while some task finds no node. */
  complete(): void
  /** `completed` though the tasks fail, as with the failure action `continue`. */
  failAndComplete(options?: FailOptions): void
  /** `paused`, after the first task failed unless one did. */
  pause(message?: string): void
  /** `rollback_started` with the spec from before, after the first task failed unless one did. */
  beginRollBack(message?: string): void
  /** The tasks of the spec from before run again, and `rollback_completed`. */
  completeRollBack(): void
  /** The tasks of the spec from before fail too, and `rollback_paused`. */
  pauseRollBack(message?: string): void
  /** From `rollback_started` to `rollback_completed`. */
  rollBack(message?: string): void
  /** Somebody runs `docker service rollback`: `rollback_started`; steer on with the others. */
  rollBackByHand(): void
  /** The engine says something of an update that it has begun, and tells nothing else. */
  say(state: string, message?: string): void
}

/** What a rollout plays on. */
export interface FakeStage {
  readonly services: FakeServices
  readonly tasks: FakeTasks
  now(): number
  nodes(): readonly Node[]
  /** The services whose latest update has begun, by their ID: the newest task from before. */
  readonly begun: Map<string, string>
}

export function createFakeRollout(id: string, stage: FakeStage): FakeRollout {
  const { services, tasks, begun } = stage
  const service = (): FakeService => services.find(id)
  const places = (): readonly Place[] => placesOf(service().Spec, stage.nodes())
  const time = (): string => new Date(stage.now()).toISOString()

  const newestTask = (): string => tasks.of(service()).at(-1)?.ID ?? ''

  function begin(): void {
    if (!begun.has(id)) {
      begun.set(id, newestTask())
      if (!isJob(service().Spec) && places().length > 0) {
        put({ State: 'updating', StartedAt: time(), Message: 'update in progress' })
      }
    }
  }

  function put(UpdateStatus: UpdateStatus): void {
    services.put({ ...service(), UpdateStatus })
  }

  /** What a foreign write of a label has emptied stays empty, though the engine goes on. */
  function say(State: string, Message = `update ${State}`): void {
    begin()
    const { UpdateStatus } = service()
    if (UpdateStatus) {
      const isEnd = State.endsWith('completed')
      put({ ...UpdateStatus, State, Message, ...(isEnd && { CompletedAt: time() }) })
    }
  }

  function each(place: Place | undefined, act: (at: Place) => void): void {
    begin()
    for (const at of place === undefined ? places() : [place]) {
      act(at)
    }
  }

  function run(place?: Place): void {
    const isOfJob = isJob(service().Spec)
    each(place, (at) => (isOfJob ? tasks.finish(service(), at) : tasks.run(service(), at)))
  }

  function fail(options: FailOptions = {}): void {
    each(options.place, (at) => tasks.fail(service(), at, options))
  }

  /** Why the engine gives an update up; it never does so without a failure. */
  function reason(what: string): string {
    begin()
    const findFailure = (): FakeTask | undefined =>
      tasks.failures(service(), begun.get(id) ?? '').at(-1)
    const [place] = places()
    if (findFailure() === undefined && place !== undefined) {
      fail({ place })
    }
    return `${what} due to failure or early termination of task ${findFailure()?.ID}`
  }

  function beginRollBack(message?: string): void {
    const why = reason('update rolled back')
    const { PreviousSpec, UpdateStatus, ...rest } = service()
    if (!PreviousSpec) {
      throw new Error(`Service "${rest.Spec.Name}" has no previous spec to roll back to`)
    }
    if (UpdateStatus) {
      const status = { ...UpdateStatus, State: 'rollback_started', Message: message ?? why }
      services.put({ ...rest, Spec: PreviousSpec, UpdateStatus: status })
    }
  }

  function completeRollBack(): void {
    run()
    say('rollback_completed', 'rollback completed')
  }

  return {
    begin,
    start: (place) => each(place, (at) => tasks.start(service(), at)),
    run,
    fail,
    beginRollBack,
    completeRollBack,
    say,

    complete() {
      run()
      if (tasks.of(service()).every(({ Status }) => Status.State !== 'pending')) {
        say('completed', 'update completed')
      }
    },

    failAndComplete(options) {
      fail(options)
      say('completed', 'update completed')
    },

    pause(message) {
      const text = reason('update paused')
      say('paused', message ?? text)
    },

    pauseRollBack(message) {
      const text = reason('update paused')
      say('rollback_paused', message ?? text)
    },

    rollBack(message) {
      beginRollBack(message)
      if (service().UpdateStatus) {
        completeRollBack()
      }
    },

    rollBackByHand() {
      const { Spec, PreviousSpec, ...rest } = service()
      if (!PreviousSpec) {
        throw new Error(`Service "${Spec.Name}" has no previous spec to roll back to`)
      }
      begun.set(id, newestTask())
      services.put({
        ...rest,
        Spec: PreviousSpec,
        PreviousSpec: Spec,
        UpdateStatus: {
          State: 'rollback_started',
          StartedAt: time(),
          Message: 'manually requested rollback',
        },
      })
    },
  }
}
