// Verdicts of services that run once, update with a delay, are global, or of a swarm that forgets tasks.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  removeServices,
  startLabDeployer,
} from './lab-deployer.ts'
import { listTasks } from './services.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const lab = sharedLab()
let deployer: LabDeployer

beforeAll(async () => {
  deployer = await startLabDeployer(lab.engine)
})

afterAll(async () => {
  await deployer.kill()
  await removeServices(lab.engine)
})

async function create(
  name: string,
  args: readonly string[],
  { image = 'lab/app:v1', state = 'running' } = {},
): Promise<void> {
  await lab.createService({ name, image: lab.image(image), labels: ALLOWED, args })
  await waitFor(`the task of "${name}" to be ${state}`, async () =>
    (await listTasks(lab.engine, name)).some(({ Status }) => Status.State === state),
  )
}

const ONCE = '--restart-condition=none'
// The bad image exits after a second. On a busy machine that takes longer, and the engine ignores a task that
// ends after the monitor has expired. With the action `continue` a rollout takes as long as the monitor.
const MONITOR = '--update-monitor=60s'
const MONITOR_CONTINUE = '--update-monitor=10s'

describe.concurrent('a service that runs once', () => {
  test.each([
    ['pause', 'paused', MONITOR],
    ['continue', 'completed', MONITOR_CONTINUE],
  ])(
    'with the failure action %s converges when its task ends with 0, and is not run again',
    async (action, updateState, monitor) => {
      const name = `once-${action}`
      const args = [ONCE, monitor, `--update-failure-action=${action}`]
      await create(name, args, { image: 'lab/job:v1', state: 'complete' })
      const image = lab.image('lab/job:v2')
      const first = await deployer.put(`${name}?wait=150`, image)
      expect(first.body).toMatchObject({ verdict: 'converged', service: name })
      expect((await inspectService(lab.engine, name)).UpdateStatus?.State).toBe(updateState)
      const before = (await listTasks(lab.engine, name)).map(({ ID }) => ID)
      const second = await deployer.put(`${name}?wait=150`, image)
      expect([second.status, second.body.verdict]).toEqual([200, 'unchanged'])
      expect((await listTasks(lab.engine, name)).map(({ ID }) => ID)).toEqual(before)
    },
  )

  test('does not converge when its task fails', async () => {
    await create('once-bad', [ONCE, MONITOR], { image: 'lab/job:v1', state: 'complete' })
    const { body } = await deployer.put('once-bad?wait=150', lab.image('lab/app:bad'))
    expect(body).toMatchObject({ verdict: 'paused', tasks: [{ state: 'failed', exitCode: 1 }] })
  })

  test('is none when the task before was stopped: an image that ends at once is no success', async () => {
    const policy = ['--restart-condition=on-failure', '--update-failure-action=continue']
    await create('server', [...policy, MONITOR_CONTINUE])
    const { body } = await deployer.put('server?wait=150', lab.image('lab/job:v1'))
    expect(body).toMatchObject({ verdict: 'failed', tasks: [{ state: 'complete', exitCode: 0 }] })
  })
})

describe.concurrent('a service whose last task failed', () => {
  test('and has no attempts left has the verdict failed, also for the same image again', async () => {
    await create('used-up', [
      ...['--restart-condition=on-failure', '--restart-max-attempts=1', '--restart-delay=1s'],
      ...['--update-failure-action=continue', '--update-monitor=20s'],
    ])
    const image = lab.image('lab/app:bad')
    const failed = { verdict: 'failed', tasks: [{ state: 'failed', exitCode: 1 }] }
    expect((await deployer.put('used-up?wait=150', image)).body).toMatchObject(failed)
    await waitFor('the last attempt', async () =>
      (await listTasks(lab.engine, 'used-up')).every(
        ({ DesiredState }) => DesiredState === 'shutdown',
      ),
    )
    const again = await deployer.put('used-up?wait=150', image)
    expect(again.body).toMatchObject({
      ...failed,
      message: '0 of 1 tasks run; the task in slot 1 is failed: task: non-zero exit (1)',
    })
  })
})

describe.concurrent('an update with a delay', () => {
  test('converges when the tasks run for long enough, though the engine still waits', async () => {
    // The engine reports the end after two delays and a second.
    await create('delayed', ['--update-delay=20s'])
    const { body } = await deployer.put('delayed?wait=150', lab.image('lab/app:v2'))
    expect(body).toMatchObject({
      verdict: 'converged',
      message: 'All tasks run; the engine reports the end after its update delay of 20 s',
    })
  })

  test('does not converge before the engine ignores a failure', async () => {
    // The image exits after a second, and the engine monitors the last task for the delay and a second.
    await create('delayed-bad', [
      ...['--update-delay=20s', '--update-monitor=1ms', '--update-failure-action=rollback'],
    ])
    const { body } = await deployer.put('delayed-bad?wait=200', lab.image('lab/app:bad'))
    expect(body.verdict).toBe('rolled-back')
  })
})

test('a global service that fits no node converges, with a warning', async () => {
  const args = ['--mode=global', '--constraint=node.labels.zone==nowhere']
  await lab.createService({
    name: 'nowhere',
    image: lab.image('lab/app:v1'),
    labels: ALLOWED,
    args,
  })
  const { status, body } = await deployer.put('nowhere?wait=150', lab.image('lab/app:v2'))
  expect([status, body.verdict]).toEqual([200, 'converged'])
  expect(body.warnings).toEqual(['No node meets the constraints of the service, so it has no task'])
})

describe('settings of the whole swarm', () => {
  test('a global service with a task on a paused node converges, with a warning that names the node', async () => {
    await create('paused-node', ['--mode=global'])
    const node = await lab.engine.docker('node', 'ls', '--format={{.Hostname}}')
    await lab.engine.docker('node', 'update', '--availability=pause', node)
    try {
      const { status, body } = await deployer.put('paused-node?wait=150', lab.image('lab/app:v2'))
      expect([status, body.verdict]).toEqual([200, 'converged'])
      expect(body.warnings).toEqual([
        `Node ${node} is paused: its task was left as it is, with ${body.previous}`,
      ])
    } finally {
      await lab.engine.docker('node', 'update', '--availability=active', node)
    }
  })

  test('without a history of tasks, failures are counted over several readings', async () => {
    await create('forgetful', [
      ...['--update-failure-action=continue', '--restart-delay=2s'],
      MONITOR_CONTINUE,
    ])
    await lab.engine.docker('swarm', 'update', '--task-history-limit=0')
    try {
      const { status, body } = await deployer.put('forgetful?wait=150', lab.image('lab/app:bad'))
      expect([status, body.verdict]).toEqual([424, 'failed'])
      expect(body.tasks).toMatchObject([{ slot: 1, state: 'failed' }])
    } finally {
      await lab.engine.docker('swarm', 'update', '--task-history-limit=5')
    }
  })
})
