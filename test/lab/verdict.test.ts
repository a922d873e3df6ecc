// The verdicts of good and bad rollouts on a real engine.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  removeServices,
  runningImages,
  startLabDeployer,
} from './lab-deployer.ts'
import { listTasks, waitRunning } from './services.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 20 })

const lab = sharedLab()
// The bad image exits after a second. On a busy machine that takes longer, and the engine ignores a task
// that fails after the monitor has expired. With the action `continue` a rollout takes as long as the monitor.
const WATCH = '--update-monitor=60s'
const WATCH_CONTINUE = '--update-monitor=10s'
// How long one step may take on a busy machine.
const STEP_TIMEOUT_MS = 100_000
let deployer: LabDeployer

beforeAll(async () => {
  deployer = await startLabDeployer(lab.engine)
})

afterAll(async () => {
  await deployer.kill()
  await removeServices(lab.engine)
})

async function pinned(name: string): Promise<string> {
  return `${lab.image(name)}@${await lab.registry.digest(name)}`
}

/** Creates a service, and waits for its tasks unless it is a job. */
async function create(
  name: string,
  args: readonly string[],
  { image = 'lab/app:v1', count = 1 }: { readonly image?: string; readonly count?: number } = {},
): Promise<string> {
  const { id } = await lab.createService({ name, image: lab.image(image), labels: ALLOWED, args })
  if (image === 'lab/app:v1') {
    await lab.waitRunning(name, lab.image(image), count)
  }
  return id
}

describe.concurrent('a good rollout converges', () => {
  test.each([
    ['stop-first', 2, ['--replicas=2']],
    ['start-first', 2, ['--replicas=2', '--update-order=start-first']],
    ['parallel', 3, ['--replicas=3', '--update-parallelism=0']],
    ['global', 1, ['--mode=global']],
    ['empty', 0, ['--replicas=0']],
  ])('%s', async (kind, count, args) => {
    const service = `good-${kind}`
    const serviceId = await create(service, args, { count })
    const previous = (await inspectService(lab.engine, service)).Spec.TaskTemplate.ContainerSpec
    const image = lab.image('lab/app:v2')
    const { status, body, headers } = await deployer.put(`${service}?wait=150`, image)
    const running = await runningImages(lab.engine, service)
    const resolved = await pinned('lab/app:v2')
    expect([status, headers['content-type']]).toEqual([200, 'application/json'])
    expect(body).toEqual({
      verdict: 'converged',
      deploymentId: expect.any(String),
      ...{ service, serviceId, image, resolved, previous: previous.Image },
      startedAt: expect.any(String),
      endedAt: expect.any(String),
    })
    expect(running).toEqual(Array(count).fill(resolved))
    expect(headers.location).toBe(`/deployments/${body.deploymentId}`)
    expect((await deployer.get(`${headers.location}`)).body).toEqual(body)
  })

  test.each([
    ['replicated-job', 2, ['--mode=replicated-job', '--replicas=2']],
    ['global-job', 1, ['--mode=global-job']],
  ])('%s', async (mode, count, args) => {
    const service = `good-${mode}`
    await create(service, args, { image: 'lab/job:v1' })
    const { status, body } = await deployer.put(`${service}?wait=150`, lab.image('lab/job:v2'))
    const tasks = await listTasks(lab.engine, service)
    expect([status, body.verdict]).toEqual([200, 'converged'])
    const resolved = await pinned('lab/job:v2')
    const complete = tasks.filter(
      ({ Spec, Status }) =>
        Status.State === 'complete' && Spec.ContainerSpec.Image.startsWith(resolved),
    )
    expect(complete).toHaveLength(count)
  })
})

describe.concurrent('a bad image is 424 with the verdict and the evidence', () => {
  test.each([
    ['rollback', 'rolled-back', 'rollback completed'],
    ['pause', 'paused', 'update paused due to failure or early termination of task'],
    ['continue', 'failed', '0 of 1 tasks run; the task in slot 1 is '],
  ])('with the failure action %s the verdict is %s', async (action, verdict, message) => {
    const service = `bad-${action}`
    const watch = action === 'continue' ? WATCH_CONTINUE : WATCH
    await create(service, [`--update-failure-action=${action}`, watch])
    const before = await runningImages(lab.engine, service)
    const { status, body, headers } = await deployer.put(
      `${service}?wait=150`,
      lab.image('lab/app:bad'),
    )
    const after = await runningImages(lab.engine, service)
    expect([status, headers['content-type']]).toEqual([424, 'application/problem+json'])
    expect(body).toMatchObject({
      ...{ code: 'rollout-failed', verdict, service, resolved: await pinned('lab/app:bad') },
      message: expect.stringContaining(message),
      detail: expect.stringContaining(`${body.message}`),
      tasks: [
        {
          slot: 1,
          node: expect.stringMatching(/./),
          state: 'failed',
          error: 'task: non-zero exit (1)',
          exitCode: 1,
          log: 'blog is starting\nno database at db:5432',
        },
      ],
    })
    if (verdict === 'rolled-back') {
      expect(after).toEqual(before)
    } else {
      expect(after).not.toContain(before[0])
    }
  })

  test('with start-first the old task keeps running', async () => {
    await create('bad-started', [
      '--update-failure-action=rollback',
      '--update-order=start-first',
      WATCH,
    ])
    const { status, body } = await deployer.put('bad-started?wait=150', lab.image('lab/app:bad'))
    expect([status, body.verdict]).toEqual([424, 'rolled-back'])
    expect(await runningImages(lab.engine, 'bad-started')).toEqual([body.previous])
  })

  test.each([1, 2])(
    'when the previous image fails too, the verdict is failed, with %i replicas',
    async (replicas) => {
      // The engine monitors a rollback, and pauses it, only if a slot has the new spec when the rollback
      // starts. With two replicas that is slot 2, whose new task runs when that of slot 1 fails; with one it
      // may report the end at once. No task of either image fails before the test creates the file, and the
      // monitors are longer than that takes.
      const name = `bad-both-${replicas}`
      const folder = join(lab.directory, name)
      await mkdir(folder)
      const goOn = 'trap "exit 0" TERM; while :; do sleep 3600 & wait; done'
      const failsFromNowOn = 'test -f /data/broken && exit 1'
      const [v1, v2] = await Promise.all([
        lab.pushImage(`lab/both:v1-${replicas}`, {
          version: 'both 1',
          script: `${failsFromNowOn}; ${goOn}`,
        }),
        lab.pushImage(`lab/both:v2-${replicas}`, {
          version: 'both 2',
          script: `while test "$SLOT" = 1; do ${failsFromNowOn}; sleep 1; done; ${goOn}`,
        }),
      ])
      await lab.createService({
        name,
        image: v1,
        labels: ALLOWED,
        args: [
          `--replicas=${replicas}`,
          '--env=SLOT={{.Task.Slot}}',
          `--mount=type=bind,source=${folder},target=/data`,
          ...['--update-failure-action=rollback', '--update-monitor=10m'],
          ...['--rollback-failure-action=pause', '--rollback-monitor=10m'],
        ],
      })
      const both = { replicas, timeoutMs: STEP_TIMEOUT_MS }
      await waitRunning(lab.engine, name, { image: v1, ...both })
      const { headers } = await deployer.put(name, v2)
      await waitRunning(lab.engine, name, { image: v2, ...both })
      await writeFile(join(folder, 'broken'), '')
      const { status, body } = await waitFor(
        'the verdict',
        async () => {
          const answer = await deployer.get(`${headers.location}?wait=150`)
          return answer.body.verdict !== undefined && answer
        },
        { timeoutMs: STEP_TIMEOUT_MS },
      )
      expect([status, body.verdict]).toEqual([424, 'failed'])
      const { UpdateStatus } = await inspectService(lab.engine, name)
      const messages = new Map([
        ['rollback_paused', /paused/],
        ['rollback_completed', /^The engine went back to .*, which fails too: /],
      ])
      expect(body.message).toMatch(messages.get(`${UpdateStatus?.State}`) ?? /no such state/)
    },
    4 * STEP_TIMEOUT_MS,
  )

  test('an image that never becomes healthy is rolled back', async () => {
    await create('unhealthy', ['--update-failure-action=rollback', WATCH])
    const { status, body } = await deployer.put(
      'unhealthy?wait=150',
      lab.image('lab/app:unhealthy'),
    )
    expect([status, body.verdict]).toEqual([424, 'rolled-back'])
    expect(body.tasks).toMatchObject([{ slot: 1, state: 'complete' }])
    expect(await runningImages(lab.engine, 'unhealthy')).toEqual([body.previous])
  })

  test('a job that fails and is not restarted has the verdict failed', async () => {
    const args = ['--mode=replicated-job', '--restart-condition=none']
    await create('bad-job', args, { image: 'lab/job:v1' })
    const script = 'echo "no database at db:5432" >&2; exit 1'
    const bad = await lab.pushImage('lab/job:bad', { version: 'bad job', script })
    const { status, body } = await deployer.put('bad-job?wait=150', bad)
    expect([status, body.verdict]).toEqual([424, 'failed'])
    expect(body.tasks).toMatchObject([{ exitCode: 1, log: expect.stringContaining('database') }])
  })

  test('EVIDENCE_LOGS=false omits log lines', async () => {
    const discreet = await startLabDeployer(lab.engine, { EVIDENCE_LOGS: 'false' })
    await create('bad-secret', [WATCH])
    const { body } = await discreet.put('bad-secret?wait=150', lab.image('lab/app:bad'))
    expect(body.tasks).toMatchObject([{ slot: 1, exitCode: 1 }])
    expect(JSON.stringify(body) + discreet.process.output.stdout).not.toContain('db:5432')
    await discreet.kill()
  })
})
