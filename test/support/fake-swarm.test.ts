// The fake swarm: its rollouts have the verdicts that the rollouts of an engine have.

import { beforeEach, describe, expect, test } from 'vitest'
import { evidence } from '../../src/convergence/evidence.ts'
import { judge } from '../../src/convergence/judge.ts'
import type { Rollout } from '../../src/convergence/rollout.ts'
import type { Convergence } from '../../src/convergence/state.ts'
import { DeployerError } from '../../src/errors.ts'
import type { ServiceMode } from '../../src/swarm/engine-types.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { fakeNode } from './fake-placement.ts'
import { digestOf } from './fake-registry.ts'
import type { FakeRollout } from './fake-rollout.ts'
import { createFakeSwarm, type FakeSwarm } from './fake-swarm.ts'
import type { FakeRolloutScript } from './fake-update.ts'

const START = Date.parse('2026-01-01T00:00:00Z')
let swarm: FakeSwarm
let now: number

beforeEach(() => {
  now = START
  swarm = createFakeSwarm()
  swarm.clock = () => now
})

function withImage(spec: ServiceSpec, Image: string): ServiceSpec {
  const { TaskTemplate } = spec
  return { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image } } }
}

/** Updates the service `blog`, and returns the rollout to judge. */
async function update(script: FakeRolloutScript, image = 'me/app:v2'): Promise<Rollout> {
  swarm.onUpdate = script
  const service = await swarm.inspectService('blog')
  await swarm.updateService(service, withImage(service.Spec, image))
  const previous = service.Spec.TaskTemplate.ContainerSpec?.Image
  const { UpdatedAt: writtenAt } = swarm.service('blog')
  return { image, forceUpdate: '0', previous, versionIndex: service.Version.Index, writtenAt }
}

async function judged(rollout: Rollout): Promise<Convergence> {
  const service = await swarm.inspectService('blog')
  const [tasks, nodes] = [await swarm.listTasks(service.ID), await swarm.listNodes()]
  return judge(rollout, { service, tasks, nodes, now })
}

/** Describes the tasks of the service: slot, image, desired state, state. */
function describeTasks(): readonly string[] {
  return swarm.tasks('blog').map(({ Slot, Spec, DesiredState, Status }) => {
    const image = Spec.ContainerSpec?.Image.replace('me/app:', '')
    return `${Slot} ${image} ${DesiredState}/${Status.State}`
  })
}

describe('the verdict of each rollout script is that of the engine', () => {
  const scripts: readonly (readonly [string, FakeRolloutScript, Partial<Convergence>])[] = [
    ['complete', 'complete', { state: 'converged' }],
    ['pause', 'pause', { state: 'paused' }],
    ['roll back', 'roll-back', { state: 'rolled-back' }],
    ['not started', 'none', { state: 'pending' }],
    ['updating', (rollout) => rollout.begin(), { state: 'pending' }],
    ['one of two tasks', (rollout) => rollout.run(1), { state: 'pending' }],
    ['rolling back', (rollout) => rollout.beginRollBack(), { state: 'pending' }],
    ['failed rollback', failRollBack, { state: 'failed' }],
    ['completed with failed tasks', (rollout) => rollout.failAndComplete(), { state: 'failed' }],
    ['rolled back by hand', (rollout) => rollout.rollBackByHand(), { state: 'superseded' }],
  ]

  test.each(scripts)('%s', async (_, script, convergence) => {
    swarm.addService('blog', { replicas: 2 })
    const rollout = await update(script)
    expect(await judged(rollout)).toMatchObject(convergence)
  })

  function failRollBack(rollout: FakeRollout): void {
    rollout.beginRollBack()
    rollout.pauseRollBack()
  }

  const modes: readonly (readonly [string, ServiceMode])[] = [
    ['global', { Global: {} }],
    ['replicated job', { ReplicatedJob: { TotalCompletions: 3 } }],
    ['global job', { GlobalJob: {} }],
    ['0 replicas', { Replicated: { Replicas: 0 } }],
  ]

  test.each(modes)('complete: %s', async (_, mode) => {
    swarm.nodes = ['node1', 'node2'].map((name) => fakeNode(name))
    swarm.addService('blog', { mode })
    const rollout = await update('complete')
    expect(await judged(rollout)).toEqual({ state: 'converged' })
    const hasUpdater = 'Global' in mode
    expect(swarm.service('blog').UpdateStatus?.State).toBe(hasUpdater ? 'completed' : undefined)
  })

  test('a failed job waits for its restart, and has failed if there is no restart', async () => {
    swarm.addService('blog', { mode: { ReplicatedJob: {} } })
    const rollout = await update((steps) => steps.fail())
    expect(await judged(rollout)).toMatchObject({ state: 'pending' })
    swarm.rollout('blog').fail({ restarts: false })
    expect(await judged(rollout)).toMatchObject({ state: 'failed' })
  })

  test('without a node of the platform, the update never ends, and the task contains the reason', async () => {
    swarm.addService('blog')
    swarm.nodes = [fakeNode('node1', { platform: { Architecture: 'aarch64', OS: 'linux' } })]
    const rollout = await update('none')
    const Placement = { Platforms: [{ Architecture: 'amd64', OS: 'linux' }] }
    swarm.change('blog', (spec) => ({ ...spec, TaskTemplate: { ...spec.TaskTemplate, Placement } }))
    swarm.rollout('blog').complete()
    expect(await judged(rollout)).toMatchObject({ state: 'pending' })
    expect(swarm.tasks('blog').at(-1)?.Status.Err).toBe(
      'no suitable node (unsupported platform on 1 node)',
    )
    swarm.nodes = [fakeNode('node1')]
    swarm.rollout('blog').complete()
    expect(await judged(rollout)).toEqual({ state: 'converged' })
  })
})

describe('tasks', () => {
  test('after a rollback, the failed task still exists, and the old task runs in the other slot', async () => {
    swarm.addService('blog', { replicas: 2 })
    const rollout = await update('roll-back')
    expect(describeTasks()).toEqual([
      '1 v1 shutdown/shutdown',
      '2 v1 running/running',
      '1 v2 shutdown/failed',
      '1 v2 shutdown/shutdown',
      '1 v1 running/running',
    ])
    expect(evidence(rollout, swarm.tasks('blog'), { nodes: swarm.nodes })).toEqual([
      {
        taskId: swarm.tasks('blog')[2]?.ID,
        slot: 1,
        node: 'node1',
        state: 'failed',
        error: 'task: non-zero exit (1)',
        exitCode: 1,
      },
    ])
    expect(swarm.service('blog').PreviousSpec).toBeUndefined()
  })

  test('an image that cannot be pulled is rejected, without an exit code', async () => {
    swarm.addService('blog')
    const rollout = await update((steps) => {
      steps.fail({ state: 'rejected' })
      steps.pause()
    })
    expect(await judged(rollout)).toMatchObject({ state: 'paused' })
    const [failed, ...others] = evidence(rollout, swarm.tasks('blog'))
    expect([failed?.error, failed?.exitCode]).toEqual(['No such image: me/app:v2', undefined])
    expect(others).toEqual([])
  })

  test('a change of a label or of the replicas replaces no task, and clears the update status', async () => {
    swarm.addService('blog')
    await update('complete')
    swarm.change('blog', (spec) => ({ ...spec, Labels: { a: 'b' } }))
    swarm.change('blog', (spec) => ({ ...spec, Mode: { Replicated: { Replicas: 2 } } }))
    await Promise.resolve()
    expect(describeTasks().slice(1)).toEqual(['1 v2 running/running', '2 v2 running/running'])
    const { UpdateStatus, PreviousSpec } = swarm.service('blog')
    expect([UpdateStatus, PreviousSpec?.Labels]).toEqual([undefined, { a: 'b' }])
  })

  test('after a label change during an update, the engine continues without an update status', async () => {
    swarm.addService('blog')
    const rollout = await update((steps) => steps.begin())
    swarm.change('blog', (spec) => ({ ...spec, Labels: {} }))
    swarm.rollout('blog').complete()
    expect(swarm.service('blog').UpdateStatus).toBeUndefined()
    expect(await judged(rollout)).toMatchObject({ state: 'pending', needsTasks: true })
    now += 5000
    expect(await judged(rollout)).toEqual({ state: 'converged' })
  })

  test('of each slot, five tasks are kept', async () => {
    swarm.addService('blog')
    for (const n of [1, 2, 3, 4, 5, 6, 7]) {
      await update('complete', `me/app:v${n + 1}`)
    }
    expect(describeTasks()).toHaveLength(5)
    expect(describeTasks().at(-1)).toBe('1 v8 running/running')
  })

  test('logs are read from the end', async () => {
    swarm.logs.set('default', 'a\nb\nc\n')
    swarm.logs.set('one', 'x')
    expect(await swarm.readTaskLog('any', 2)).toBe('b\nc')
    expect(await swarm.readTaskLog('one', 2)).toBe('x')
  })
})

describe('the registry', () => {
  test('every image exists by default', async () => {
    const image = await swarm.resolveImage('docker.io/me/app:v2', { registryAuth: 'secret' })
    expect(image.digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(image.digest).toBe(digestOf('me/app:v2'))
    expect(image.digest).not.toBe(digestOf('me/app:v3'))
    expect((await swarm.resolveImage(`me/app:v3@${image.digest}`)).digest).toBe(image.digest)
    expect(swarm.credentials[0]).toEqual({
      call: 'resolve docker.io/me/app:v2',
      registryAuth: 'secret',
    })
  })

  test('a test may set an image or an error', async () => {
    const platforms = [{ Architecture: 'arm64', OS: 'linux' }]
    swarm.setImage('me/app:v2', { platforms })
    const image = { digest: digestOf('me/app:v2'), platforms }
    expect(await swarm.resolveImage('docker.io/me/app:v2')).toEqual(image)
    expect(await swarm.resolveImage(`me/app:v2@${image.digest}`)).toEqual(image)
    swarm.setImage('me/app:v2', new DeployerError('image-not-found', 'Cannot find it'))
    await expect(swarm.resolveImage('docker.io/me/app:v2')).rejects.toThrow('Cannot find it')
  })
})

describe('events', () => {
  let received: ('opened' | ServiceEvent)[]
  const listener = {
    opened: () => void received.push('opened'),
    changed: (event: ServiceEvent) => void received.push(event),
  }

  beforeEach(() => {
    received = []
  })

  function states(): readonly unknown[] {
    return received.map((event) =>
      event === 'opened' ? event : (event.updateState ?? event.image ?? event.action),
    )
  }

  test('changes and removals are reported once the stream is open', async () => {
    swarm.addService('blog')
    const watch = swarm.watchServices(listener, { signal: new AbortController().signal })
    await Promise.resolve()
    expect([swarm.streams, states()]).toEqual([1, ['opened']])
    await update('roll-back')
    swarm.remove('blog')
    await Promise.resolve()
    expect(states()).toEqual([
      'opened',
      'me/app:v2',
      'updating',
      'rollback_started',
      'rollback_completed',
      'remove',
    ])
    expect(received[3]).toMatchObject({ image: 'me/app:v1', timeMs: now })
    await expect(swarm.inspectService('blog')).rejects.toMatchObject({ code: 'service-not-found' })
    swarm.breakStreams()
    await watch
    expect(swarm.streams).toBe(0)
  })

  test('events since a given time are reported again', async () => {
    swarm.addService('blog')
    await update('complete')
    const controller = new AbortController()
    const watch = swarm.watchServices(listener, { signal: controller.signal, sinceMs: now })
    await Promise.resolve()
    await Promise.resolve()
    expect(states()).toEqual(['opened', 'me/app:v2', 'updating', 'completed'])
    controller.abort()
    await watch
    swarm.remove('blog')
    await Promise.resolve()
    expect([swarm.streams, received.length]).toEqual([0, 4])
  })

  test('a broken stream loses events that were not reported yet', async () => {
    swarm.addService('blog')
    const watch = swarm.watchServices(listener, { signal: new AbortController().signal })
    await Promise.resolve()
    swarm.change('blog', (spec) => ({ ...spec, Labels: {} }))
    swarm.breakStreams(new DeployerError('engine-unreachable', 'Cannot reach it'))
    await expect(watch).rejects.toThrow('Cannot reach it')
    expect(states()).toEqual(['opened'])
    swarm.failure = new Error('down')
    const again = swarm.watchServices(listener, { signal: new AbortController().signal })
    await expect(again).rejects.toThrow('down')
  })
})
