// What follows a write: tasks are scaled, and a rollout takes the course that the test chose.

import type { ServiceSpec } from '../../src/swarm/service.ts'
import { isJob } from './fake-places.ts'
import { createFakeRollout, type FakeRollout, type FakeStage } from './fake-rollout.ts'
import type { FakeService } from './fake-services.ts'
import { isOtherTemplate } from './fake-task-status.ts'

/** Which course a rollout takes by itself. */
export type FakeCourse =
  | 'complete'
  | 'pause'
  | 'roll-back'
  | 'none'
  | ((rollout: FakeRollout) => void)

/** Writes a spec, and plays the course in a microtask if the write has tasks replaced. */
export type FakeWriter = (current: FakeService, spec: ServiceSpec, course: FakeCourse) => void

const COURSES: Readonly<Record<string, (rollout: FakeRollout) => void>> = {
  complete: (rollout) => rollout.complete(),
  pause: (rollout) => rollout.pause(),
  'roll-back': (rollout) => rollout.rollBack(),
}

export function createFakeWriter(stage: FakeStage): FakeWriter {
  const { services, tasks, begun } = stage
  const newest = new Map<string, FakeService>()

  return (current, spec, course) => {
    const { ID } = current
    const written = services.write(current, structuredClone(spec))
    tasks.scale(written)
    // Any write runs a job again.
    if (isJob(spec) || isOtherTemplate(current.Spec.TaskTemplate, spec.TaskTemplate)) {
      begun.delete(ID)
      newest.set(ID, written)
      queueMicrotask(() => {
        if (services.has(ID) && newest.get(ID) === written) {
          const play = typeof course === 'function' ? course : COURSES[course]
          play?.(createFakeRollout(ID, stage))
        }
      })
    }
  }
}
