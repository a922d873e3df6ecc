// A rollout that a test controls step by step: the update status of the engine, and the tasks.

import { latestConfig, timingOf } from '../../src/convergence/timing.ts'
import type { Node, UpdateStatus } from '../../src/swarm/engine-types.ts'
import { isJob, type Place, placesOf } from './fake-placement.ts'
import type { FakeService, FakeServices } from './fake-services.ts'
import type { FailOptions } from './fake-task-status.ts'
import type { FakeTask, FakeTasks } from './fake-tasks.ts'

/** The steps of a rollout; each starts the rollout if it has not started. */
export interface FakeRollout {
  /** `updating`; no status for a job or for 0 replicas, as on the engine. */
  begin(): void
  /** Old tasks are shut down, and new tasks are prepared. Default: in every place. */
  start(place?: Place): void
  /** The same, and the new tasks run (those of a job complete) if a node accepts them. */
  run(place?: Place): void
  /** New tasks fail, and the engine restarts them, unless the options disable this. */
  fail(options?: FailOptions): void
  /** All tasks run, and `completed`; still `updating` if no node accepts a task. */
  complete(): void
  /**
   * `completed` though the tasks fail, as with the failure action `continue`; the tasks that the engine
   * restarts fail again, unless the options disable this.
   */
  failAndComplete(options?: FailOptions): void
  /** `paused`; if no task has failed, the first one fails before. */
  pause(message?: string): void
  /**
   * `rollback_started` with the previous spec; if no task has failed, the first one fails before.
   */
  beginRollBack(message?: string): void
  /** The tasks of the previous spec run again, and `rollback_completed`. */
  completeRollBack(): void
  /** The tasks of the previous spec fail too, and `rollback_paused`. */
  pauseRollBack(message?: string): void
  /** From `rollback_started` to `rollback_completed`. */
  rollBack(message?: string): void
  /** A user runs `docker service rollback`: `rollback_started`; other steps may follow. */
  rollBackByHand(): void
  /** Sets the state of a started update, and changes nothing else. */
  setUpdateState(state: string, message?: string): void
}

/** The state of the fake swarm that a rollout reads and changes. */
export interface FakeSwarmState {
  readonly services: FakeServices
  readonly tasks: FakeTasks
  now(): number
  nodes(): readonly Node[]
  /**
   * The ID of the newest task before the latest update, by the ID of the service; absent if not
   * started.
   */
  readonly startedUpdates: Map<string, string>
}

export function createFakeRollout(id: string, swarmState: FakeSwarmState): FakeRollout {
  const { services, tasks, startedUpdates } = swarmState
  const service = (): FakeService => services.find(id)
  const places = (): readonly Place[] => placesOf(service().Spec, swarmState.nodes())
  const time = (): string => new Date(swarmState.now()).toISOString()

  const newestTask = (): string => tasks.of(service()).at(-1)?.ID ?? ''

  function begin(): void {
    if (!startedUpdates.has(id)) {
      startedUpdates.set(id, newestTask())
      if (!isJob(service().Spec) && places().length > 0) {
        put({ State: 'updating', StartedAt: time(), Message: 'update in progress' })
      }
    }
  }

  function put(UpdateStatus: UpdateStatus): void {
    services.put({ ...service(), UpdateStatus })
  }

  /**
   * A status that another write (of a label) has cleared stays empty, though the update continues.
   */
  function setUpdateState(State: string, Message = `update ${State}`): void {
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

  /** The engine's message when it stops an update, which it does only after a failure. */
  function stopMessage(action: string): string {
    begin()
    const findFailure = (): FakeTask | undefined =>
      tasks.failures(service(), startedUpdates.get(id) ?? '').at(-1)
    const [place] = places()
    if (findFailure() === undefined && place !== undefined) {
      fail({ place })
    }
    return `${action} due to failure or early termination of task ${findFailure()?.ID}`
  }

  function beginRollBack(message?: string): void {
    const defaultMessage = stopMessage('update rolled back')
    const { PreviousSpec, UpdateStatus, ...rest } = service()
    if (!PreviousSpec) {
      throw new Error(`Service "${rest.Spec.Name}" has no previous spec to roll back to`)
    }
    if (UpdateStatus) {
      const status = {
        ...UpdateStatus,
        State: 'rollback_started',
        Message: message ?? defaultMessage,
      }
      services.put({ ...rest, Spec: PreviousSpec, UpdateStatus: status })
    }
  }

  /** The engine ends an update that it monitors a monitor period after the last task has started. */
  function runAndMonitor(): void {
    run()
    if (service().UpdateStatus === undefined) {
      return
    }
    tasks.age(service(), timingOf(service().Spec, latestConfig(service())).monitorMs)
  }

  function completeRollBack(): void {
    runAndMonitor()
    setUpdateState('rollback_completed', 'rollback completed')
  }

  return {
    begin,
    start: (place) => each(place, (at) => tasks.start(service(), at)),
    run,
    fail,
    beginRollBack,
    completeRollBack,
    setUpdateState,

    complete() {
      runAndMonitor()
      if (tasks.of(service()).every(({ Status }) => Status.State !== 'pending')) {
        setUpdateState('completed', 'update completed')
      }
    },

    failAndComplete(options) {
      fail(options)
      setUpdateState('completed', 'update completed')
      fail(options)
    },

    pause(message) {
      const text = stopMessage('update paused')
      setUpdateState('paused', message ?? text)
    },

    pauseRollBack(message) {
      const text = stopMessage('update paused')
      setUpdateState('rollback_paused', message ?? text)
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
      startedUpdates.set(id, newestTask())
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
