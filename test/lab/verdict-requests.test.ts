// Options of a request, and events between a request and its verdict.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  removeServices,
  runningImages,
  settledBytes,
  startLabDeployer,
} from './lab-deployer.ts'
import { runProgram } from './processes.ts'
import { listTasks } from './services.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 20 })

const lab = sharedLab()
const [v1, v2, v3, bad] = ['v1', 'v2', 'v3', 'bad'].map((tag) => lab.image(`lab/app:${tag}`))
const SLOW = ['--replicas=2', '--update-monitor=3s']
// The bad image exits after a second. On a busy machine that takes longer, and the engine ignores a task
// that fails after the monitor has expired.
const WATCH_BAD = '--update-monitor=60s'
let deployer: LabDeployer

beforeAll(async () => {
  deployer = await startLabDeployer(lab.engine)
})

afterAll(async () => {
  await deployer.kill()
  await removeServices(lab.engine)
})

/** Creates a service with v1 and waits for its tasks. */
async function create(name: string, args: readonly string[] = []): Promise<void> {
  await lab.createService({ name, image: `${v1}`, labels: ALLOWED, args })
  const count = args.includes('--replicas=0') ? 0 : args.includes('--replicas=2') ? 2 : 1
  await lab.waitRunning(name, `${v1}`, count)
}

async function pinned(name: string): Promise<string> {
  return `${lab.image(name)}@${await lab.registry.digest(name)}`
}

/** Waits until the engine is updating and has created a task with the image. */
async function waitUpdating(service: string, image: string): Promise<void> {
  await waitFor(`the update of "${service}"`, async () => {
    const tasks = await listTasks(lab.engine, service)
    const { UpdateStatus } = await inspectService(lab.engine, service)
    const hasTask = tasks.some(({ Spec }) => Spec.ContainerSpec.Image.startsWith(image))
    return hasTask && UpdateStatus?.State === 'updating'
  })
}

describe.concurrent('before the verdict', () => {
  test('a newer image is written at once: the first caller gets superseded, the second one converged', async () => {
    await create('overtaken', SLOW)
    const first = deployer.put('overtaken?wait=150', `${v2}`)
    await waitUpdating('overtaken', `${v2}`)
    const second = deployer.put('overtaken?wait=150', `${v3}`)
    const { status, body, tookMs, headers } = await first
    expect([status, body.code, body.verdict]).toEqual([409, 'superseded', 'superseded'])
    const other = await second
    expect([other.status, other.body.verdict]).toEqual([200, 'converged'])
    expect(tookMs).toBeLessThan(other.tookMs)
    expect(await runningImages(lab.engine, 'overtaken')).toEqual(
      Array(2).fill(await pinned('lab/app:v3')),
    )
    expect((await deployer.get(`${headers.location}`)).body.verdict).toBe('superseded')
  })

  test('after a manual rollback the verdict is superseded', async () => {
    await create('taken-back', SLOW)
    const answer = deployer.put('taken-back?wait=150', `${v2}`)
    await waitUpdating('taken-back', `${v2}`)
    await lab.engine.docker('service', 'rollback', '--detach', 'taken-back')
    expect((await answer).body).toMatchObject({ code: 'superseded', message: /by hand/ })
  })

  test('after the removal of the service the response is 410, also for later requests', async () => {
    await create('removed', SLOW)
    const answer = deployer.put('removed?wait=150', `${v2}`)
    await waitUpdating('removed', `${v2}`)
    await lab.engine.docker('service', 'rm', 'removed')
    const { status, body, headers } = await answer
    expect([status, body.code, body.verdict]).toEqual([410, 'service-removed', 'removed'])
    expect((await deployer.get(`${headers.location}`)).status).toBe(410)
    const another = await startLabDeployer(lab.engine)
    expect((await another.get(`${headers.location}`)).body.code).toBe('service-removed')
    await another.kill()
  })

  test('after the wait the response is 504 with Location and Retry-After, where curl gets the verdict', async () => {
    await create('pending', ['--replicas=2', '--update-monitor=8s'])
    const { status, body, headers } = await deployer.put('pending?wait=1', `${v2}`)
    expect([status, body.code, body.verdict]).toEqual([504, 'rollout-pending', 'pending'])
    expect(headers['retry-after']).toBe('1')
    const location = `${headers.location}`
    expect((await deployer.get(location)).body).toMatchObject({ verdict: 'pending' })
    const retry = ['-s', '-S', '--retry', '30', '-H', 'Authorization: Bearer x']
    const { stdout } = await runProgram('curl', [...retry, `${deployer.url}${location}?wait=2s`])
    expect(stdout).toMatch(/"rollout-pending".*"rollout-pending".*"verdict":"converged"/s)
    expect((await deployer.get(location)).body.verdict).toBe('converged')
  })

  test('after the caller disconnects the deployment continues, and its end is in the log', async () => {
    await create('hung-up', SLOW)
    await expect(deployer.put('hung-up?wait=150', `${v2}`, '-m', '1')).rejects.toThrow('28')
    await waitFor('the end in the log', () =>
      deployer.process
        .log()
        .some(
          ({ msg, service, verdict }) =>
            [msg, service, verdict].join() === 'deployment ended,hung-up,converged',
        ),
    )
    expect(await runningImages(lab.engine, 'hung-up')).toHaveLength(2)
  })

  test('with a constraint that no node satisfies the verdict is timed-out, with the reason', async () => {
    const hasty = await startLabDeployer(lab.engine, { ROLLOUT_TIMEOUT: '5s' })
    const name = 'nowhere'
    const args = ['--constraint=node.labels.zone==nowhere']
    await lab.createService({ name, image: `${v1}`, labels: ALLOWED, args })
    const { status, body, tookMs } = await hasty.put(`${name}?wait=150`, `${v2}`)
    expect([status, body.code, body.verdict]).toEqual([424, 'rollout-failed', 'timed-out'])
    expect(body.message).toMatch(/^Still not done after 5 s: .*no suitable node/)
    expect(tookMs).toBeGreaterThan(4500)
    // The verdict ended the wait.
    expect(tookMs).toBeLessThan(150_000)
    await hasty.kill()
  })

  test('events are progress with each task, then the verdict of the JSON response', async () => {
    await create('watched', SLOW)
    const events = await deployer.stream('/service/watched?wait=150', `${v2}`)
    const progress = events.filter(({ event }) => event === 'progress').map(({ data }) => data)
    const last = events.at(-1)
    expect(events.map(({ event }) => event)).toEqual([...progress.map(() => 'progress'), 'verdict'])
    expect(progress.length).toBeGreaterThan(2)
    const states = progress.flatMap(({ tasks }) => tasks ?? []) as readonly object[]
    expect(states).toContainEqual({
      taskId: expect.any(String),
      slot: 1,
      node: expect.stringMatching(/./),
      image: await pinned('lab/app:v2'),
      state: 'running',
      desiredState: 'running',
    })
    expect(progress.map(({ running }) => running)).toContain(1)
    expect(progress.every(({ verdict }) => verdict === 'pending')).toBe(true)
    const path = `/deployments/${last?.data.deploymentId}`
    expect(last?.data).toEqual((await deployer.get(path)).body)
    expect(last?.data.verdict).toBe('converged')
    expect(await deployer.stream(path)).toEqual([last])
  })

  test('the events of a failed rollout end with the evidence', async () => {
    await create('watched-bad', ['--update-failure-action=rollback', WATCH_BAD])
    const events = await deployer.stream('/service/watched-bad', `${bad}`)
    expect(events.at(-1)).toMatchObject({
      event: 'verdict',
      data: { verdict: 'rolled-back', tasks: [{ exitCode: 1, log: /database/ }] },
    })
  })
})

describe.concurrent('the same deployment again', () => {
  test('the same image is unchanged with a reason, and the service is not written', async () => {
    await create('unmoved')
    expect((await deployer.put('unmoved?wait=150', `${v2}`)).body.verdict).toBe('converged')
    const before = await inspectService(lab.engine, 'unmoved')
    const { status, body } = await deployer.put('unmoved', `${v2}`)
    expect([status, body.verdict]).toEqual([200, 'unchanged'])
    expect(body.message).toMatch(/^Service "unmoved" runs .*lab\/app:v2@sha256:\S+ already$/)
    expect((await inspectService(lab.engine, 'unmoved')).raw).toBe(before.raw)
    expect(before.PreviousSpec).toBeDefined()
  })

  test('a tag with a new digest is deployed, and another tag with the same digest is written', async () => {
    const image = await lab.pushImage('lab/moving:latest', { version: 'one' })
    await create('moving')
    const one = await deployer.put('moving?wait=150', image)
    await lab.pushImage('lab/moving:latest', { version: 'two' })
    const two = await deployer.put('moving?wait=150', image)
    expect([one.body.verdict, two.body.verdict]).toEqual(['converged', 'converged'])
    expect(two.body.resolved).not.toBe(one.body.resolved)
    expect(await runningImages(lab.engine, 'moving')).toEqual([await pinned('lab/moving:latest')])
    await lab.engine.docker('tag', image, lab.image('lab/moving:stable'))
    await lab.engine.docker('push', '--quiet', lab.image('lab/moving:stable'))
    const three = await deployer.put('moving?wait=150', lab.image('lab/moving:stable'))
    expect(three.body).toMatchObject({
      verdict: 'converged',
      resolved: `${two.body.resolved}`.replace(':latest@', ':stable@'),
    })
  })

  test('during its rollout both callers share it', async () => {
    await create('shared', SLOW)
    const first = deployer.put('shared?wait=150', `${v2}`)
    await waitUpdating('shared', `${v2}`)
    const [one, two] = await Promise.all([first, deployer.put('shared?wait=150', `${v2}`)])
    expect([one.body.verdict, two.body]).toEqual(['converged', one.body])
  })

  test('after its rollout was paused nothing is written, and a manual rollback restores the old image', async () => {
    // The engine does not update the second slot before the pause.
    await create('paused', ['--replicas=2', WATCH_BAD, '--update-delay=60s'])
    const first = await deployer.put('paused?wait=150', `${bad}`)
    const { PreviousSpec, UpdateStatus } = await inspectService(lab.engine, 'paused')
    const again = await deployer.put('paused', `${bad}`)
    const after = await inspectService(lab.engine, 'paused')
    expect([first.body.verdict, again.status, again.body.verdict]).toEqual([
      'paused',
      424,
      'paused',
    ])
    expect(again.body).toMatchObject({
      deploymentId: first.body.deploymentId,
      tasks: [{ exitCode: 1, log: expect.stringContaining('database') }],
      warnings: [expect.stringContaining('"resume": true')],
    })
    expect([after.PreviousSpec, after.UpdateStatus]).toEqual([PreviousSpec, UpdateStatus])
    await lab.engine.docker('service', 'rollback', '--detach', 'paused')
    await lab.waitRunning('paused', `${v1}`, 2)
    expect((await deployer.get('/service/paused')).body.image).toBe(await pinned('lab/app:v1'))
  })

  test('after its rollout was paused, resume continues it, with a new verdict and a warning', async () => {
    await create('resumed', ['--replicas=2', WATCH_BAD, '--update-delay=10s'])
    const first = await deployer.put('resumed?wait=150', `${bad}`)
    const { Version } = await inspectService(lab.engine, 'resumed')
    const again = await deployer.put('resumed?wait=150', { image: bad, resume: true })
    expect([first.body.verdict, again.body.verdict]).toEqual(['paused', 'paused'])
    expect(again.body.deploymentId).not.toBe(first.body.deploymentId)
    expect(again.body.warnings).toEqual([
      expect.stringContaining(`can no longer return to ${await pinned('lab/app:v1')}`),
    ])
    const after = await inspectService(lab.engine, 'resumed')
    expect(after.Version.Index).toBeGreaterThan(Version.Index)
    expect(JSON.stringify(after.PreviousSpec)).toContain(await pinned('lab/app:bad'))
  })

  test('with an Idempotency-Key a retry after a rollback deploys nothing', async () => {
    await create('once', ['--update-failure-action=rollback', WATCH_BAD])
    const key = ['-H', 'Idempotency-Key: build 42']
    const first = await deployer.put('once?wait=150', `${bad}`, ...key)
    const before = await inspectService(lab.engine, 'once')
    const again = await deployer.put('once?wait=150', `${bad}`, ...key)
    expect([first.status, first.body.verdict]).toEqual([424, 'rolled-back'])
    expect(again.body).toEqual(first.body)
    const other = await deployer.put('once?wait=150', `${v2}`, ...key)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused'])
    expect((await inspectService(lab.engine, 'once')).raw).toBe(before.raw)
  })

  test('with an Idempotency-Key another process finds the deployment in the labels of the service', async () => {
    await create('once-more')
    const key = ['-H', 'Idempotency-Key: build 43']
    const first = await deployer.put('once-more?wait=150', `${v2}`, ...key)
    const before = await inspectService(lab.engine, 'once-more')
    const another = await startLabDeployer(lab.engine)
    const again = await another.put('once-more?wait=150', `${v2}`, ...key)
    expect([again.status, again.body.verdict]).toEqual([200, 'converged'])
    expect(again.body.startedAt).toBe(first.body.startedAt)
    expect((await inspectService(lab.engine, 'once-more')).raw).toBe(before.raw)
    await another.kill()
  })
})

describe.concurrent('options of a request', () => {
  test('expect with another image is 409 with the current one, and accepts the current one with or without digest', async () => {
    await create('expecting', ['--replicas=0'])
    const raw = await settledBytes(lab.engine, 'expecting')
    const refused = await deployer.put('expecting', { image: v2, expect: v3 })
    expect([refused.status, refused.body]).toMatchObject([
      409,
      { code: 'image-mismatch', running: await pinned('lab/app:v1'), expected: v3 },
    ])
    expect((await inspectService(lab.engine, 'expecting')).raw).toBe(raw)
    expect((await deployer.put('expecting', { image: v2, expect: v1 })).status).toBe(200)
    const digest = (await pinned('lab/app:v2')).replace(':v2@', '@')
    expect((await deployer.put('expecting', { image: v3, expect: digest })).status).toBe(200)
  })

  test('force replaces every task with the same image', async () => {
    await create('forced', ['--replicas=2'])
    const before = await listTasks(lab.engine, 'forced')
    const { status, body } = await deployer.put('forced?wait=150', { force: true })
    expect([status, body.verdict]).toEqual([200, 'converged'])
    expect(body.resolved).toBe(body.previous)
    const running = (await listTasks(lab.engine, 'forced')).filter(
      ({ Status }) => Status.State === 'running',
    )
    expect(running).toHaveLength(2)
    const old = before.map(({ ID }) => ID)
    expect(running.filter(({ ID }) => old.includes(ID))).toEqual([])
  })

  test('dryRun reports the change and does not write', async () => {
    await create('dry')
    const raw = await settledBytes(lab.engine, 'dry')
    const { status, body } = await deployer.put('dry?dryRun=true&wait=150', `${v2}`)
    expect([status, body]).toMatchObject([
      200,
      {
        dryRun: true,
        from: await pinned('lab/app:v1'),
        to: await pinned('lab/app:v2'),
        digest: await lab.registry.digest('lab/app:v2'),
        platforms: [{ Architecture: 'amd64', OS: 'linux' }],
        wouldUpdate: true,
      },
    ])
    const same = await deployer.put('dry?dryRun=true', `${v1}`)
    expect(same.body).toMatchObject({ wouldUpdate: false, reason: /has .*v1@sha256.* already/ })
    expect((await inspectService(lab.engine, 'dry')).raw).toBe(raw)
  })

  test('GET /service/:name and /services report the state', async () => {
    await create('shown', ['--replicas=2'])
    await lab.createService({ name: 'not-shown', image: `${v1}`, replicas: 0 })
    expect((await deployer.get('/service/shown')).body).toMatchObject({
      service: 'shown',
      image: await pinned('lab/app:v1'),
      digest: await lab.registry.digest('lab/app:v1'),
      ...{ mode: 'replicated', running: 2, desired: 2, updateStatus: null, allowsUpdates: true },
    })
    const names = Object.values((await deployer.get('/services')).body).map(
      (service) => (service as { service: string }).service,
    )
    expect(names).toContain('shown')
    expect(names).not.toContain('not-shown')
  })
})
