// Verdicts of deployments that another process made, which only the state of the swarm contains.

import { afterAll, describe, expect, test, vi } from 'vitest'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  removeServices,
  runningImages,
  startLabDeployer,
} from './lab-deployer.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 20 })

const lab = sharedLab()
const [v1, v2, v3, bad, slow] = ['v1', 'v2', 'v3', 'bad', 'slow'].map((tag) =>
  lab.image(`lab/app:${tag}`),
)
// A rollout of a good image takes as long as the monitor.
const WATCH = '--update-monitor=3s'
// The bad image exits after a second. On a busy machine that takes longer, and the engine ignores a task
// that fails after the monitor has expired.
const WATCH_BAD = '--update-monitor=60s'
const WATCH_BOTH = '--update-monitor=10s'
const ROLLBACK = '--update-failure-action=rollback'

afterAll(() => removeServices(lab.engine))

async function create(name: string, args: readonly string[]): Promise<void> {
  await lab.createService({ name, image: `${v1}`, labels: ALLOWED, args })
  await lab.waitRunning(name, `${v1}`)
}

/** Starts a Deployer that is killed after `use`. */
async function withDeployer<T>(use: (deployer: LabDeployer) => Promise<T>): Promise<T> {
  const deployer = await startLabDeployer(lab.engine)
  try {
    return await use(deployer)
  } finally {
    await deployer.kill()
  }
}

/** Starts a Deployer that gets SIGTERM after `use`, so that it writes its history. */
async function withEndedDeployer<T>(use: (deployer: LabDeployer) => Promise<T>): Promise<T> {
  return withDeployer(async (deployer) => {
    const result = await use(deployer)
    const ended = deployer.process.ended()
    deployer.process.kill('SIGTERM')
    await ended
    return result
  })
}

/** Deploys without waiting, and kills the Deployer at once. Gives the `Location`. */
function deployAndKill(service: string, image: string | undefined): Promise<string> {
  return withDeployer(async ({ put }) => {
    const { status, body, headers } = await put(service, `${image}`)
    expect([status, body.verdict]).toEqual([200, 'accepted'])
    return `${headers.location}`
  })
}

async function waitUpdate(service: string, state: string): Promise<void> {
  await waitFor(
    `the update of "${service}" to be ${state}`,
    async () => (await inspectService(lab.engine, service)).UpdateStatus?.State === state,
  )
}

describe.concurrent('Deployer is killed during a rollout', () => {
  test.each([
    ['converged', 'v2', 200, 'completed', [WATCH]],
    ['rolled-back', 'bad', 424, 'rollback_completed', [ROLLBACK, WATCH_BAD]],
    ['paused', 'bad', 424, 'paused', [WATCH_BAD]],
    // With this action the rollout of a bad image also takes as long as the monitor.
    ['failed', 'bad', 424, 'completed', ['--update-failure-action=continue', WATCH_BOTH]],
  ])(
    'the verdict %s is given by a process that starts during the rollout, and by one that starts later',
    async (verdict, tag, status, end, args) => {
      const service = `killed-${verdict}`
      await create(service, args)
      const image = lab.image(`lab/app:${tag}`)
      const location = await deployAndKill(service, image)
      await waitUpdate(service, 'updating')
      const during = await withEndedDeployer(({ get }) => get(`${location}?wait=150`))
      await waitUpdate(service, end)
      const after = await withDeployer(({ get }) => get(location))
      expect([during.status, after.status]).toEqual([status, status])
      expect(during.body).toMatchObject({ verdict, service, image })
      // The history has the failed tasks in its message.
      const { endedAt: _, ...rest } = during.body
      const failed = [{ slot: 1, exitCode: 1, log: /no database/ }]
      expect(after.body).toMatchObject({
        ...rest,
        // The service keeps failing unless it is stopped, so another task may be the newest one.
        ...(rest.tasks === undefined ? {} : { tasks: failed }),
        ...(verdict === 'converged'
          ? {}
          : { message: expect.any(String), detail: expect.any(String) }),
      })
    },
  )
})

describe.concurrent('a later deployment', () => {
  test('by the same process records the verdicts of earlier ones, which outlive the label', async () => {
    await create('recorded', [ROLLBACK, WATCH_BOTH])
    const locations = await withEndedDeployer(async ({ put }) => {
      const answers = [
        await put('recorded?wait=150', `${v2}`),
        await put('recorded?wait=150', `${bad}`),
        await put('recorded?wait=150', `${v3}`),
      ]
      expect(answers.map(({ body }) => body.verdict)).toEqual([
        'converged',
        'rolled-back',
        'converged',
      ])
      return answers.map(({ headers }) => `${headers.location}`)
    })
    await withDeployer(async ({ get }) => {
      const answers = await Promise.all(locations.map((location) => get(location)))
      expect(answers.map(({ status }) => status)).toEqual([200, 424, 200])
      expect(answers.map(({ body }) => body.verdict)).toEqual([
        'converged',
        'rolled-back',
        'converged',
      ])
    })
    const remove = ['service', 'update', '--detach', '--label-rm=deployer.deployments', 'recorded']
    await lab.engine.docker(...remove)
    await withDeployer(async ({ get }) => {
      const answers = await Promise.all(locations.map((location) => get(location)))
      expect(answers.map(({ body }) => body.verdict)).toEqual([
        'converged',
        'rolled-back',
        'converged',
      ])
    })
  })

  test('by another process judges the previous one, and records its verdict', async () => {
    await create('inherited', [WATCH_BOTH])
    const first = await deployAndKill('inherited', bad)
    await waitUpdate('inherited', 'paused')
    const second = await deployAndKill('inherited', v2)
    await waitUpdate('inherited', 'completed')
    const third = await deployAndKill('inherited', v3)
    await withDeployer(async ({ get }) => {
      const answers = await Promise.all([first, second].map((location) => get(location)))
      expect(answers.map(({ body }) => body.verdict)).toEqual(['paused', 'converged'])
      expect((await get(`${third}?wait=150`)).body.verdict).toBe('converged')
    })
  })

  test('by another process after a rollback, which also restored the old record, tells the truth of the first one or nothing', async () => {
    await create('forgotten', [ROLLBACK, WATCH_BAD])
    const first = await deployAndKill('forgotten', bad)
    await waitUpdate('forgotten', 'rollback_completed')
    await deployAndKill('forgotten', v2)
    const { status, body } = await withDeployer(({ get }) => get(first))
    // The process was killed at once: the history may have its entry, or not.
    expect(['410 verdict-unknown', '424 rolled-back']).toContain(
      `${status} ${body.verdict ?? body.code}`,
    )
  })

  test('during the rollout supersedes the previous one, for every process', async () => {
    await create('overrun', [WATCH])
    const first = await deployAndKill('overrun', slow)
    await waitUpdate('overrun', 'updating')
    const second = await deployAndKill('overrun', v3)
    await withDeployer(async ({ get }) => {
      expect((await get(first)).body).toMatchObject({ code: 'superseded' })
      expect((await get(`${second}?wait=150`)).body.verdict).toBe('converged')
    })
    expect(await runningImages(lab.engine, 'overrun')).toEqual([expect.stringContaining(`${v3}`)])
  })
})

describe.concurrent('Deployer gets SIGTERM', () => {
  test('a caller that waits gets a Location at once, and a new process gives the verdict', async () => {
    await create('ended', [ROLLBACK, WATCH_BAD])
    const deployer = await startLabDeployer(lab.engine)
    const answer = deployer.put('ended?wait=150', `${bad}`)
    const stream = deployer.stream('/service/ended?wait=150', `${bad}`)
    await waitUpdate('ended', 'updating')
    const ended = deployer.process.ended()
    deployer.process.kill('SIGTERM')
    const { status, body, headers, tookMs } = await answer
    expect(tookMs).toBeLessThan(150_000)
    expect([status, body.code, headers['retry-after']]).toEqual([504, 'rollout-pending', '1'])
    expect((await stream).at(-1)).toMatchObject({ event: 'verdict', data: { verdict: 'pending' } })
    expect((await ended).status).toBe(0)
    await withDeployer(async ({ get }) => {
      const later = await get(`${headers.location}?wait=150`)
      expect([later.status, later.body.verdict]).toEqual([424, 'rolled-back'])
    })
  })
})
