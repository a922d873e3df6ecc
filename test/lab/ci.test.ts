// The deploy steps of docs/ci.md, run as each CI system runs them, against real rollouts.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'
import { type CiRun, ciSteps, runStep } from './ci-steps.ts'
import { ALLOWED, inspectService, removeServices, runningImages } from './lab-deployer.ts'
import { freePorts } from './ports.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 40 })

const lab = sharedLab()
const TOKEN = 'SECRET-of-the-test'
const repository = lab.image('lab/app')
const { directory } = lab
let deployer: DeployerProcess
let url: string

beforeAll(async () => {
  deployer = start()
  url = await deployer.url()
})

afterAll(async () => {
  await kill(deployer)
  await removeServices(lab.engine)
})

function start(env: Readonly<Record<string, string>> = {}): DeployerProcess {
  return startDeployer({ env: { TOKEN, DOCKER_HOST: lab.engine.dockerHost, ...env } })
}

async function kill(process: DeployerProcess): Promise<void> {
  const ended = process.ended()
  process.kill('SIGKILL')
  await ended
}

/** Creates a service whose rollouts take at least as many seconds as its update monitor. */
async function createService(monitorSeconds: number): Promise<string> {
  const args = ['--update-failure-action=rollback', `--update-monitor=${monitorSeconds}s`]
  const image = lab.image('lab/app:v1')
  const { name } = await lab.createService({ image, labels: ALLOWED, args })
  await lab.waitRunning(name, image)
  return name
}

async function runOf(commit: string): Promise<CiRun> {
  const digest = `${await lab.registry.digest(`lab/app:${commit}`)}`
  return { commit, digest, token: TOKEN, run: `${Math.trunc(Math.random() * 1e9)}` }
}

async function pinned(name: string): Promise<string> {
  return `${lab.image(name)}@${await lab.registry.digest(name)}`
}

function deploymentIds(output: string): ReadonlySet<string> {
  return new Set([...output.matchAll(/"deploymentId":"(.*?)"/g)].map(([, id = '']) => id))
}

describe.concurrent.each(Object.entries(ciSteps))('%s', (_, step) => {
  test('with a good image the step succeeds, prints the verdict converged, and the image runs', async () => {
    const service = await createService(3)
    const place = { directory, url, service, repository }
    const { status, output } = await runStep(step(await runOf('v2')), place)
    expect([status, output]).toEqual([0, expect.stringContaining('"verdict":"converged"')])
    expect(output).not.toContain(TOKEN)
    expect(await runningImages(lab.engine, service)).toEqual([await pinned('lab/app:v2')])
  })

  test('with a bad image the step fails and prints the reason, although each wait is shorter than the rollout', async () => {
    const service = await createService(60)
    const place = { directory, url, service, repository, wait: '1' }
    const { status, output, tookMs } = await runStep(step(await runOf('bad')), place)
    expect(output).toMatch(/"status":424,.*"verdict":"rolled-back"/)
    expect(output).toContain('blog is starting\\nno database at db:5432')
    expect(status).not.toBe(0)
    expect(output).not.toContain(TOKEN)
    // Longer than one wait and one pause: there was a 504, and all tries belong to one deployment.
    expect(tookMs).toBeGreaterThan(2000)
    expect(deploymentIds(output).size).toBe(1)
    expect(await runningImages(lab.engine, service)).toEqual([await pinned('lab/app:v1')])
  })

  test('with a service that does not exist the step fails with the reason and does not retry', async () => {
    const service = `nosuch-${randomUUID()}`
    const { status, output } = await runStep(step(await runOf('v2')), {
      ...{ directory, url, service, repository },
    })
    expect(output).toContain('"code":"service-not-found"')
    expect(status).not.toBe(0)
    const refused = () => deployer.log().filter((line) => line.service === service)
    await waitFor('the log line', () => refused().length > 0)
    expect(refused()).toHaveLength(1)
  })
})

describe.concurrent('when Deployer is restarted during the rollout', () => {
  test.each([
    { name: 'the line alone', signal: 'SIGTERM' },
    { name: 'several Deployers', signal: 'SIGTERM' },
    { name: 'several Deployers', signal: 'SIGKILL' },
  ] as const)('the step "$name" succeeds after $signal', async ({ name, signal }) => {
    const service = await createService(3)
    const [port] = await freePorts(1)
    const BIND = `127.0.0.1:${port}`
    const first = start({ BIND })
    const place = { directory, url: await first.url(), service, repository }
    const step = ciSteps[name]?.(await runOf('v2'))
    if (step === undefined) throw new Error(`No step "${name}"`)
    const running = runStep(step, place)
    await waitFor('the rollout to start', async () => {
      const { UpdateStatus } = await inspectService(lab.engine, service)
      return UpdateStatus?.State === 'updating'
    })
    const ended = first.ended()
    first.kill(signal)
    await ended
    const second = start({ BIND })
    const { status, output } = await running
    await kill(second)
    expect([status, output]).toEqual([0, expect.stringContaining('"verdict":"converged"')])
    expect(deploymentIds(output).size).toBe(1)
  })
})
