// What the fake does after a spec was written: it scales tasks and runs the rollout script of the
// test.

import type { ServiceSpec } from '../../src/swarm/service.ts'
import { isJob } from './fake-placement.ts'
import { createFakeRollout, type FakeRollout, type FakeSwarmState } from './fake-rollout.ts'
import type { FakeService } from './fake-services.ts'
import { isOtherTemplate } from './fake-task-status.ts'

/** How a rollout proceeds without further steps by the test. */
export type FakeRolloutScript =
  | 'complete'
  | 'pause'
  | 'roll-back'
  | 'none'
  | ((rollout: FakeRollout) => void)

/** Writes a spec; if tasks must be replaced, runs the rollout script in a microtask. */
export type FakeUpdater = (
  current: FakeService,
  spec: ServiceSpec,
  script: FakeRolloutScript,
) => void

const ROLLOUT_SCRIPTS: Readonly<Record<string, (rollout: FakeRollout) => void>> = {
  complete: (rollout) => rollout.complete(),
  pause: (rollout) => rollout.pause(),
  'roll-back': (rollout) => rollout.rollBack(),
}

export function createFakeUpdater(swarmState: FakeSwarmState): FakeUpdater {
  const { services, tasks, startedUpdates } = swarmState
  const newest = new Map<string, FakeService>()

  return (current, spec, script) => {
    const { ID } = current
    const written = services.write(current, structuredClone(spec))
    tasks.scale(written)
    // Any write runs a job again.
    if (isJob(spec) || isOtherTemplate(current.Spec.TaskTemplate, spec.TaskTemplate)) {
      startedUpdates.delete(ID)
      newest.set(ID, written)
      queueMicrotask(() => {
        if (services.has(ID) && newest.get(ID) === written) {
          const play = typeof script === 'function' ? script : ROLLOUT_SCRIPTS[script]
          play?.(createFakeRollout(ID, swarmState))
        }
      })
    }
  }
}
