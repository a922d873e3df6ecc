// Log lines in verdicts on a real engine: an image from another repository prints the secrets of the
// service that it is deployed to.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  ALLOWED,
  type DeployerResponse,
  inspectService,
  type LabDeployer,
  removeServices,
  startLabDeployer,
} from './lab-deployer.ts'
import { sharedLab } from './shared-lab.ts'

const lab = sharedLab()
const SECRET = 's3cr3t-of-the-service'
const own = lab.image('lab/app:v1')
const bad = lab.image('lab/app:bad')
let deployer: LabDeployer
let foreign: readonly [string, string]

beforeAll(async () => {
  deployer = await startLabDeployer(lab.engine)
  const script = 'env; exit 1'
  foreign = [
    await lab.pushImage('lab/evil:v1', { version: 'evil 1', script }),
    await lab.pushImage('lab/evil:v2', { version: 'evil 2', script }),
  ]
})

afterAll(async () => {
  await deployer.kill()
  await removeServices(lab.engine)
})

function expectWithheld({ status, body }: DeployerResponse): void {
  expect(status).toBe(424)
  expect(body.tasks).toEqual([expect.objectContaining({ state: 'failed', exitCode: 1 })])
  expect(body.logsWithheld).toContain('Log lines are shown only of images of the repository')
  expect(JSON.stringify(body)).not.toContain(SECRET)
}

test('log lines of an image from another repository are withheld, also for the second such deployment', async () => {
  const args = [`--env=SECRET=${SECRET}`, '--update-failure-action=pause', '--update-monitor=60s']
  await lab.createService({ name: 'guarded', image: own, labels: ALLOWED, args })
  await lab.waitRunning('guarded', own, 1)
  for (const image of foreign) {
    expectWithheld(await deployer.put('guarded?wait=150', image))
  }
  const { Spec } = await inspectService(lab.engine, 'guarded')
  const { Image } = Spec.TaskTemplate.ContainerSpec
  const label = Spec.Labels['deployer.foreignImage'] ?? ''
  expect([label.startsWith(`${own}@sha256:`), label.endsWith(` ${Image}`)]).toEqual([true, true])
  const { status, body } = await deployer.put('guarded?wait=150', bad)
  expect(status).toBe(424)
  expect(body.tasks).toEqual([
    expect.objectContaining({ log: expect.stringContaining('no database at db:5432') }),
  ])
  const after = await inspectService(lab.engine, 'guarded')
  expect(after.Spec.Labels['deployer.foreignImage']).toBeUndefined()
})

test('after another docker stack deploy, which removes the label, log lines are withheld', async () => {
  const file = join(lab.directory, 'guarded.yml')
  await writeFile(
    file,
    `version: "3.8"
services:
  app:
    image: ${own}
    environment:
      SECRET: ${SECRET}
    networks: [host]
    deploy:
      labels:
        deployer.allowUpdates: "true"
      update_config:
        failure_action: pause
        monitor: 60s
networks:
  host:
    external: true
    name: host
`,
  )
  const deployStack = (): Promise<string> =>
    lab.engine.docker(
      ...['stack', 'deploy', '--resolve-image=changed', '--compose-file', file, 'guarded'],
    )
  await deployStack()
  await lab.waitRunning('guarded_app', own, 1)
  expectWithheld(await deployer.put('guarded_app?wait=150', foreign[0]))
  await deployStack()
  const { Spec } = await inspectService(lab.engine, 'guarded_app')
  expect(Spec.TaskTemplate.ContainerSpec.Image).toContain(foreign[0])
  expect(Spec.Labels['deployer.foreignImage']).toBeUndefined()
  expectWithheld(await deployer.put('guarded_app?wait=150', foreign[1]))
})
