// The credentials that the swarm stores with a service are sent only to its registry.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { pushImage } from './images.ts'
import {
  ALLOWED,
  type LabDeployer,
  removeServices,
  runningImages,
  startLabDeployer,
} from './lab-deployer.ts'
import { freePorts } from './ports.ts'
import { type RecordingRegistry, startRecordingRegistry } from './recording-registry.ts'
import { createRegistry, type Registry } from './registry.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 20 })

const lab = sharedLab()
// As `htpasswd -nbB deployer 'open sesame'` writes it.
const HTPASSWD = 'deployer:$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy'
const PASSWORD = 'open sesame'

let guarded: Registry
const registries: RecordingRegistry[] = []
const deployers: LabDeployer[] = []

beforeAll(async () => {
  const [port = 0] = await freePorts(1)
  guarded = await createRegistry(lab.directory, port, { name: 'first', htpasswd: HTPASSWD })
  await guarded.start()
  await lab.engine.docker('login', '-u', 'deployer', '-p', PASSWORD, guarded.address)
  for (const tag of ['v1', 'v2']) {
    await pushImage(lab.engine, image(tag), { version: `guarded ${tag}` })
  }
})

afterAll(async () => {
  await Promise.all(deployers.map(({ kill }) => kill()))
  await removeServices(lab.engine)
  for (const registry of registries) {
    registry.close()
  }
  await lab.engine.docker('logout', guarded.address)
  await guarded.kill()
})

function image(tag: string): string {
  return `${guarded.address}/team/app:${tag}`
}

async function start(env: Readonly<Record<string, string>>): Promise<LabDeployer> {
  const started = await startLabDeployer(lab.engine, env)
  deployers.push(started)
  return started
}

async function startOther(): Promise<RecordingRegistry> {
  const registry = await startRecordingRegistry(lab.registry.address)
  registries.push(registry)
  return registry
}

/** Creates a service with an image of the guarded registry, whose credentials the swarm stores. */
async function create(name: string, args: readonly string[] = []): Promise<void> {
  const flags = ['--with-registry-auth', ...args]
  await lab.createService({ name, image: image('v1'), labels: ALLOWED, args: flags })
  await lab.waitRunning(name, image('v1'))
}

test.each([
  ['clear', undefined],
  // Positive control: with this setting the engine sends the password.
  ['keep', `deployer:${PASSWORD}`],
])(
  'with FOREIGN_REGISTRY=%s another registry that requires a password gets the stored one or none',
  async (mode, leaked) => {
    const name = `moved-${mode}`
    const other = await startOther()
    const { put } = await start({ FOREIGN_REGISTRY: mode, RESOLVE_IMAGE: 'never' })
    await create(name)
    const { body } = await put(`${name}?wait=150`, `${other.address}/lab/app:v2`)
    expect(new Set(other.credentials)).toEqual(new Set(leaked === undefined ? [] : [leaked]))
    expect(body.verdict).toBe(leaked === undefined ? 'paused' : 'converged')
    expect(body.warnings).toEqual([
      expect.stringContaining(leaked === undefined ? 'were cleared' : 'has stored'),
    ])
  },
)

test('a password of REGISTRY_AUTH_FILE is sent only to its registry', async () => {
  const other = await startOther()
  const path = join(lab.directory, 'first-registry.json')
  const auth = Buffer.from(`deployer:${PASSWORD}`).toString('base64')
  await writeFile(path, JSON.stringify({ auths: { [guarded.address]: { auth } } }))
  const { put } = await start({ REGISTRY_AUTH_FILE: path, RESOLVE_IMAGE: 'never' })
  await lab.createService({
    name: 'by-file-moved',
    image: lab.image('lab/app:v1'),
    labels: ALLOWED,
  })
  await lab.waitRunning('by-file-moved', lab.image('lab/app:v1'))
  const first = await put('by-file-moved?wait=150', image('v2'))
  expect([first.body.verdict, first.body.warnings]).toEqual(['converged', undefined])
  const second = await put('by-file-moved?wait=150', `${other.address}/lab/app:v2`)
  expect([second.body.verdict, other.credentials]).toEqual(['paused', []])
  const back = await put('by-file-moved?wait=150', image('v1'))
  expect([back.body.verdict, back.body.warnings]).toEqual(['converged', undefined])
})

test('a rollback pulls from the previous registry with the credentials of the previous spec', async () => {
  const { put } = await start({})
  await removeServices(lab.engine)
  const failing = await lab.pushImage('lab/app:late', {
    version: 'late',
    script: 'sleep 8; exit 1',
  })
  await create('moved-back', ['--update-failure-action=rollback', '--update-monitor=30s'])
  const rollout = put('moved-back?wait=150', failing)
  await waitFor('the node to remove the old image', async () => {
    const ids = await guardedImages()
    await lab.engine.docker('rmi', '--force', ...ids).catch(() => {})
    return (await guardedImages()).length === 0
  })
  const running = await runningImages(lab.engine, 'moved-back')
  expect(running.filter((one) => one.startsWith(guarded.address))).toEqual([])
  const { body } = await rollout
  expect([body.verdict, body.warnings]).toEqual([
    'rolled-back',
    [expect.stringContaining('were cleared')],
  ])
  await lab.waitRunning('moved-back', image('v1'))
  expect(await guardedImages()).not.toEqual([])
})

/** Lists the IDs of the node's images of the guarded registry. */
async function guardedImages(): Promise<readonly string[]> {
  const repository = `${guarded.address}/team/app`
  const ids = await lab.engine.docker('image', 'ls', '--quiet', '--no-trunc', repository)
  return [...new Set(ids.split('\n').filter((id) => id !== ''))]
}
