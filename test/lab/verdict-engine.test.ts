// The engine is restarted while a caller waits for a verdict. Each test has a lab of its own.

import { afterAll, describe, expect, test } from 'vitest'
import { type Lab, raiseLab } from './lab.ts'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  runningImages,
  startLabDeployer,
} from './lab-deployer.ts'
import { waitFor } from './wait.ts'

const WATCH = ['--update-failure-action=rollback', '--update-monitor=3s']

const opened: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const close of opened.splice(0).reverse()) {
    await close()
  }
})

async function setUp(): Promise<{ readonly lab: Lab; readonly deployer: LabDeployer }> {
  const lab = await raiseLab()
  opened.push(lab.down)
  const deployer = await startLabDeployer(lab.engine)
  opened.push(deployer.kill)
  return { lab, deployer }
}

async function create(lab: Lab, name: string, args: readonly string[]): Promise<void> {
  const image = lab.image('lab/app:v1')
  await lab.createService({ name, image, labels: ALLOWED, args })
  await lab.waitRunning(name, image)
}

async function waitUpdating(lab: Lab, service: string): Promise<void> {
  await waitFor(`the update of "${service}" to begin`, async () => {
    const { UpdateStatus } = await inspectService(lab.engine, service)
    return UpdateStatus?.State === 'updating'
  })
}

/** The verdict that corresponds to the final state of the engine's update. */
async function verdictOfEngine(lab: Lab): Promise<string | undefined> {
  const { UpdateStatus } = await inspectService(lab.engine, 'bad')
  return {
    rollback_completed: 'rolled-back',
    paused: 'paused',
    // An engine that starts during an update reports `completed` at once, whatever the tasks do.
    completed: 'failed',
  }[`${UpdateStatus?.State}`]
}

describe.concurrent.each([
  ['restarted', (lab: Lab) => lab.engine.restart()],
  [
    'killed and started',
    async (lab: Lab) => {
      await lab.engine.kill()
      await lab.engine.start()
    },
  ],
] as const)('the engine is %s during the rollout', (_, interrupt) => {
  test('the callers of a good and of a bad rollout get the verdict after that', async () => {
    const { lab, deployer } = await setUp()
    await Promise.all([create(lab, 'good', WATCH), create(lab, 'bad', WATCH)])
    const good = deployer.put('good?wait=150', lab.image('lab/app:v2'))
    const bad = deployer.put('bad?wait=150', lab.image('lab/app:bad'))
    await Promise.all([waitUpdating(lab, 'good'), waitUpdating(lab, 'bad')])
    await interrupt(lab)
    const [converged, failed] = await Promise.all([good, bad])
    expect([converged.status, converged.body.verdict]).toEqual([200, 'converged'])
    // An event ended the wait, not the poll 5 minutes later.
    const { UpdateStatus } = await inspectService(lab.engine, 'good')
    const delayMs =
      Date.parse(`${converged.body.endedAt}`) - Date.parse(`${UpdateStatus?.CompletedAt}`)
    expect(delayMs).toBeLessThan(100_000)
    expect(await runningImages(lab.engine, 'good')).toEqual([converged.body.resolved])
    expect([failed.status, failed.body.verdict]).toEqual([424, await verdictOfEngine(lab)])
    expect(failed.body.tasks).toMatchObject([{ slot: 1, exitCode: 1, log: /no database/ }])
    // The service can be deployed again.
    const after = await deployer.put('good?wait=150', lab.image('lab/app:v3'))
    expect([after.status, after.body.verdict]).toEqual([200, 'converged'])
  })
})
