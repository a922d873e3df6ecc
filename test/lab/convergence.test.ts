// The judgement of rollouts on a real engine: the state is read every 50 ms and judged each time.

import { describe, expect, test } from 'vitest'
import { evidence, type FailedTask } from '../../src/convergence/evidence.ts'
import { judge } from '../../src/convergence/judge.ts'
import type { Rollout } from '../../src/convergence/rollout.ts'
import type { Convergence, ObservedState } from '../../src/convergence/state.ts'
import type {
  Node,
  Placement,
  Task,
  WatchedService,
  WatchedSpec,
} from '../../src/swarm/engine-types.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const lab = sharedLab()
const INTERVAL_MS = 50
const READS_AFTER_END = 20
// A rollout of a good image takes as long as the monitor.
const WATCH = ['--update-monitor=3s', '--rollback-monitor=3s']
// The bad image exits after a second. On a busy machine that takes longer, and the engine ignores a task
// that fails after the monitor has expired.
const WATCH_BAD = '--update-monitor=60s'
const CONTINUE = ['--update-failure-action=continue', '--update-monitor=10s']

interface RolloutCase {
  readonly image: string
  /** Flags of `docker service create`. Default: two replicas. */
  readonly flags?: readonly string[]
  readonly job?: boolean
  /** Changes the spec in addition to the image. */
  readonly write?: (spec: Spec) => void
  /** `act` is called once, as soon as the update has the state `on`. */
  readonly meanwhile?: { readonly on: string; readonly act: (id: string) => Promise<void> }
}

/** A spec. The tests write more of its members than the judgement reads. */
interface Spec extends WatchedSpec {
  TaskTemplate: {
    ContainerSpec: { Image: string }
    ForceUpdate: number
    Placement: Placement & { Constraints?: string[] }
  }
  Labels: Record<string, string>
}

/** A service as the engine returns it. */
interface Inspected extends WatchedService {
  readonly ID: string
  readonly Spec: Spec
}

async function get<T>(path: string): Promise<T> {
  const { status, text } = await lab.engine.request('GET', path)
  if (status !== 200) throw new Error(`Cannot get "${path}": ${status} ${text}`)
  return JSON.parse(text)
}

async function observe(id: string): Promise<ObservedState> {
  const filters = encodeURIComponent(JSON.stringify({ service: { [id]: true } }))
  const service = await get<WatchedService>(`/services/${id}`)
  const tasks = await get<readonly Task[]>(`/tasks?filters=${filters}`)
  return { service, tasks, nodes: await get<readonly Node[]>('/nodes'), now: Date.now() }
}

async function create({ flags = [], job = false }: RolloutCase): Promise<string> {
  const image = lab.image(job ? 'lab/job:v1' : 'lab/app:v1')
  if (job) {
    return lab.engine.docker('service', 'create', '--detach', '--network=host', ...flags, image)
  }
  const replicas = flags.includes('--mode=global') ? [] : ['--replicas=2']
  return (await lab.createService({ image, args: [...replicas, ...WATCH, ...flags] })).id
}

/** Applies a change to the current spec, and tries again while the version is out of date. */
async function write(id: string, change: (spec: Spec) => void, query = ''): Promise<Rollout> {
  return waitFor(`a write to service ${id}`, async () => {
    const { Version, Spec } = await get<Inspected>(`/services/${id}`)
    const previous = Spec.TaskTemplate.ContainerSpec.Image
    change(Spec)
    const writtenAt = new Date().toISOString()
    const path = `/services/${id}/update?version=${Version.Index}${query}`
    const { status, text } = await lab.engine.request('POST', path, Spec)
    if (status !== 200 && !text.includes('out of sequence')) throw new Error(text)
    const { ContainerSpec, ForceUpdate } = Spec.TaskTemplate
    const rollout = {
      image: ContainerSpec.Image,
      forceUpdate: String(ForceUpdate),
      previous,
      writtenAt,
    }
    return status === 200 && { ...rollout, versionIndex: Version.Index }
  })
}

async function settle(id: string, job: boolean): Promise<void> {
  await waitFor(`service ${id} to settle`, async () => {
    const { service, tasks = [] } = await observe(id)
    const mode = service.Spec.Mode ?? {}
    const wanted = mode.ReplicatedJob?.TotalCompletions ?? mode.Replicated?.Replicas ?? 1
    const state = job ? 'complete' : 'running'
    return tasks.filter(({ Status }) => Status.State === state).length >= wanted
  })
}

/** Judges every 50 ms until the rollout ends, and for one more second. */
async function watch(
  rollout: Rollout,
  id: string,
  { meanwhile }: RolloutCase,
): Promise<{ readonly verdicts: readonly Convergence[]; readonly failed: readonly FailedTask[] }> {
  const verdicts: Convergence[] = []
  let failed: readonly FailedTask[] = []
  let isDone = meanwhile === undefined
  let readsAfterEnd = 0
  await waitFor(
    `the end of the rollout of ${id}`,
    async () => {
      const state = await observe(id)
      if (!isDone && state.service.UpdateStatus?.State === meanwhile?.on) {
        isDone = true
        await meanwhile?.act(id)
      }
      const verdict = judge(rollout, state)
      const alone = judge(rollout, { ...state, tasks: undefined, nodes: undefined })
      if (alone.state !== 'pending') expect(verdict).toEqual(alone)
      if (verdict.state !== verdicts.at(-1)?.state) verdicts.push(verdict)
      if (verdict.state === 'pending') return false
      readsAfterEnd += 1
      failed = readsAfterEnd === 1 ? evidence(rollout, state.tasks ?? [], state) : failed
      return readsAfterEnd > READS_AFTER_END
    },
    { intervalMs: INTERVAL_MS, timeoutMs: 240_000, describe: () => JSON.stringify(verdicts) },
  )
  return { verdicts, failed }
}

const ROLLBACK = ['--update-failure-action=rollback', WATCH_BAD]
const allAtOnce = ['--update-parallelism=0', '--rollback-parallelism=0']
const exited = { state: 'failed', error: 'task: non-zero exit (1)', exitCode: 1, node: /./ }
const unhealthy = { state: 'complete', exitCode: 0, node: /./ }

async function changeLabel(id: string): Promise<void> {
  await write(id, (spec) => {
    spec.Labels = { ...spec.Labels, touched: 'yes' }
  })
}

describe.concurrent('a rollout is pending until it gets one verdict, which stays', () => {
  test.each<[string, RolloutCase, Convergence['state'], object?]>([
    ['stop-first', { image: 'app:v2' }, 'converged'],
    ['start-first', { image: 'app:v2', flags: ['--update-order=start-first'] }, 'converged'],
    ['parallel', { image: 'app:v2', flags: allAtOnce }, 'converged'],
    ['global', { image: 'app:v2', flags: ['--mode=global'] }, 'converged'],
    [
      'bad image, global, rollback',
      { image: 'app:bad', flags: ['--mode=global', ...ROLLBACK] },
      'rolled-back',
      exited,
    ],
    ['no replicas', { image: 'app:v2', flags: ['--replicas=0'] }, 'converged'],
    [
      'replicated job',
      { image: 'job:v1', job: true, flags: ['--mode=replicated-job', '--replicas=2'] },
      'converged',
    ],
    ['global job', { image: 'job:v1', job: true, flags: ['--mode=global-job'] }, 'converged'],
    [
      'job that fails and is not restarted',
      {
        image: 'app:bad',
        job: true,
        flags: ['--mode=replicated-job', '--restart-condition=none'],
      },
      'failed',
      exited,
    ],
    ['bad image, rollback', { image: 'app:bad', flags: ROLLBACK }, 'rolled-back', exited],
    [
      'bad image, rollback, start-first',
      { image: 'app:bad', flags: [...ROLLBACK, '--update-order=start-first'] },
      'rolled-back',
      exited,
    ],
    [
      'bad image, rollback, parallel',
      { image: 'app:bad', flags: [...ROLLBACK, ...allAtOnce, '--replicas=3'] },
      'rolled-back',
      exited,
    ],
    ['bad image, pause', { image: 'app:bad', flags: [WATCH_BAD] }, 'paused', exited],
    ['bad image, continue', { image: 'app:bad', flags: CONTINUE }, 'failed', exited],
    [
      'no such image',
      { image: 'none:v1' },
      'paused',
      { state: 'rejected', error: /^No such image/, exitCode: undefined },
    ],
    ['unhealthy image, pause', { image: 'app:unhealthy', flags: [WATCH_BAD] }, 'paused', unhealthy],
    [
      'unhealthy image, continue',
      { image: 'app:unhealthy', flags: [...CONTINUE, '--replicas=1'] },
      'failed',
      unhealthy,
    ],
    [
      'another image during the rollout',
      {
        image: 'app:v2',
        meanwhile: {
          on: 'updating',
          act: async (id) => {
            await write(id, (spec) => {
              spec.TaskTemplate.ContainerSpec.Image = lab.image('lab/app:v3')
            })
          },
        },
      },
      'superseded',
    ],
    [
      'a manual rollback during the rollout',
      {
        image: 'app:v2',
        meanwhile: {
          on: 'updating',
          act: async (id) => {
            await write(id, () => {}, '&rollback=previous')
          },
        },
      },
      'superseded',
    ],
    [
      'a label that changes during the rollout',
      { image: 'app:v2', meanwhile: { on: 'updating', act: changeLabel } },
      'converged',
    ],
    [
      'a label that changes during the rollback',
      {
        image: 'app:bad',
        flags: ROLLBACK,
        meanwhile: { on: 'rollback_started', act: changeLabel },
      },
      'rolled-back',
      exited,
    ],
    [
      'the same image with ForceUpdate',
      {
        image: 'app:v1',
        write: (spec) => {
          spec.TaskTemplate.ForceUpdate += 1
        },
      },
      'converged',
    ],
  ])('%s', async (_, rolloutCase, state, failure) => {
    const id = await create(rolloutCase)
    try {
      await settle(id, rolloutCase.job ?? false)
      const rollout = await write(id, (spec) => {
        spec.TaskTemplate.ContainerSpec.Image = lab.image(`lab/${rolloutCase.image}`)
        rolloutCase.write?.(spec)
      })
      const { verdicts, failed } = await watch(rollout, id, rolloutCase)
      // While tasks go on failing, the message of a failure may change; its state may not.
      const states = verdicts
        .map((verdict) => verdict.state)
        .filter((one, index, all) => one !== 'pending' && one !== all[index - 1])
      expect({ states, verdicts }).toEqual({ states: [state], verdicts: expect.anything() })
      if (failure === undefined) return
      expect(failed.length).toBeGreaterThan(0)
      for (const [key, value] of Object.entries(failure)) {
        const actual = failed[0]?.[key as keyof FailedTask]
        if (value instanceof RegExp) expect(actual).toMatch(value)
        else expect([key, actual]).toEqual([key, value])
      }
    } finally {
      await lab.engine.docker('service', 'rm', id)
    }
  })

  test('with a constraint that no node satisfies the state is pending, with the reason', async () => {
    const rolloutCase = { image: 'app:v2' }
    const id = await create(rolloutCase)
    try {
      await settle(id, false)
      const rollout = await write(id, (spec) => {
        spec.TaskTemplate.ContainerSpec.Image = lab.image('lab/app:v2')
        spec.TaskTemplate.Placement = { Constraints: ['node.labels.no == where'] }
      })
      await waitFor(
        'the message',
        async () => {
          const verdict = judge(rollout, await observe(id))
          expect(verdict.state).toBe('pending')
          return verdict.state === 'pending' && verdict.message.includes('no suitable node (')
        },
        { describe: async () => JSON.stringify(await observe(id)) },
      )
    } finally {
      await lab.engine.docker('service', 'rm', id)
    }
  })
})
