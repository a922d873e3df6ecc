// Registries of all kinds: passwords, platforms, missing images, and registries that do not respond.

import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { pushImage } from './images.ts'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  removeServices,
  runningImages,
  settledBytes,
  startLabDeployer,
} from './lab-deployer.ts'
import { pushForPlatform, pushList } from './manifests.ts'
import { freePorts } from './ports.ts'
import { createRegistry, type Registry } from './registry.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 20 })

const lab = sharedLab()
const [v1, v2] = ['v1', 'v2'].map((tag) => lab.image(`lab/app:${tag}`))
// As `htpasswd -nbB deployer 'open sesame'` writes it.
const HTPASSWD = 'deployer:$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy'
const PASSWORD = 'open sesame'
const ACCOUNT = Buffer.from(`deployer:${PASSWORD}`).toString('base64')
const TAGS = ['v1', 'header', 'file', 'unpinned', 'pinned', 'strict', 'never', 'later']
const STORED = [
  'stored',
  'stored-pinned',
  'stored-strictly',
  'stored-never',
  'stored-absent',
  'stored-moved',
]

let registry: Registry
let deployer: LabDeployer
const deployers: LabDeployer[] = []

beforeAll(async () => {
  const [port = 0] = await freePorts(1)
  registry = await createRegistry(lab.directory, port, { name: 'guarded', htpasswd: HTPASSWD })
  const [started] = await Promise.all([start(), registry.start()])
  deployer = started
  await lab.engine.docker('login', '-u', 'deployer', '-p', PASSWORD, registry.address)
  const images = [...TAGS.map((tag) => guarded(tag)), `${registry.address}/team/other:v1`]
  await Promise.all(images.map((image) => pushImage(lab.engine, image, { version: image })))
  // The node has to pull them.
  await lab.engine.docker('rmi', ...images)
  const args = ['--with-registry-auth']
  for (const name of STORED) {
    await lab.createService({ name, image: guarded('v1'), labels: ALLOWED, args })
  }
  await lab.engine.docker('logout', registry.address)
  await Promise.all(STORED.map((name) => lab.waitRunning(name, guarded('v1'))))
})

afterAll(async () => {
  await Promise.all(deployers.map(({ kill }) => kill()))
  await removeServices(lab.engine)
  await registry.kill()
})

async function start(env: Readonly<Record<string, string>> = {}): Promise<LabDeployer> {
  const started = await startLabDeployer(lab.engine, env)
  deployers.push(started)
  return started
}

function guarded(tag: string): string {
  return `${registry.address}/team/app:${tag}`
}

/** Creates a service with an image of the open registry. */
async function create(name: string, args: readonly string[] = []): Promise<void> {
  await lab.createService({ name, image: `${v1}`, labels: ALLOWED, args })
}

function headerFor(password: string): readonly string[] {
  const account = { username: 'deployer', password, serveraddress: registry.address }
  const auth = Buffer.from(JSON.stringify(account)).toString('base64url')
  return ['-H', `X-Registry-Auth: ${auth}`]
}

async function authFile(name: string, account: string): Promise<string> {
  const path = join(lab.directory, name)
  const auths = { 'docker.io': { auth: 'eDp5' }, [registry.address]: { auth: account } }
  await writeFile(path, JSON.stringify({ auths }))
  return path
}

describe.concurrent('a registry with a password', () => {
  test('with the password in the header the image is resolved and pinned, and nodes can pull it', async () => {
    await create('by-header')
    const header = headerFor(PASSWORD)
    const { status, body } = await deployer.put('by-header?wait=150', guarded('header'), ...header)
    expect([status, body.verdict, body.warnings]).toEqual([200, 'converged', undefined])
    expect(body.resolved).toMatch(/team\/app:header@sha256:[0-9a-f]{64}$/)
    expect(await runningImages(lab.engine, 'by-header')).toEqual([body.resolved])
  })

  test('REGISTRY_AUTH_FILE is read again after it has changed', async () => {
    await create('by-file')
    const path = await authFile('auth.json', Buffer.from('deployer:wrong').toString('base64'))
    const { put } = await start({ REGISTRY_AUTH_FILE: path })
    const refused = await put('by-file', guarded('file'))
    expect([refused.status, refused.body.code]).toEqual([422, 'image-not-readable'])
    await authFile('auth.json', ACCOUNT)
    const { status, body } = await waitFor('the new file to be read', async () => {
      const answer = await put('by-file?wait=150', guarded('file'))
      return answer.status !== 422 && answer
    })
    expect([status, body.verdict]).toEqual([200, 'converged'])
    expect(await runningImages(lab.engine, 'by-file')).toEqual([body.resolved])
  })

  test('without a password an image of another repository is refused, and the service is not changed', async () => {
    await create('strange', ['--replicas=0'])
    const raw = await settledBytes(lab.engine, 'strange')
    for (const image of [guarded('v1'), guarded('nosuch')]) {
      const { status, body } = await deployer.put('strange?wait=150', image)
      expect([status, body.code]).toEqual([422, 'image-not-readable'])
      expect(body.detail).toContain('absent or private')
    }
    const other = await deployer.put('stored?wait=150', `${registry.address}/team/other:v1`)
    expect([other.status, other.body.code]).toEqual([422, 'image-not-readable'])
    expect((await inspectService(lab.engine, 'strange')).raw).toBe(raw)
  })

  test('a wrong password is image-not-readable, one that cannot be decoded is malformed-request', async () => {
    await create('wrong', ['--replicas=0'])
    const raw = await settledBytes(lab.engine, 'wrong')
    const wrong = await deployer.put('wrong', guarded('v1'), ...headerFor('open barley'))
    expect([wrong.status, wrong.body.code]).toEqual([422, 'image-not-readable'])
    const garbled = await deployer.put('wrong', guarded('v1'), '-H', 'X-Registry-Auth: garbled')
    expect([garbled.status, garbled.body.code]).toEqual([400, 'malformed-request'])
    expect((await inspectService(lab.engine, 'wrong')).raw).toBe(raw)
  })

  test('RESOLVE_IMAGE=require refuses an image for which Deployer has no password', async () => {
    const strict = await start({ RESOLVE_IMAGE: 'require' })
    const raw = await settledBytes(lab.engine, 'stored-strictly')
    const { status, body } = await strict.put('stored-strictly?wait=150', guarded('strict'))
    expect([status, body.code]).toEqual([422, 'image-not-readable'])
    expect((await inspectService(lab.engine, 'stored-strictly')).raw).toBe(raw)
  })
})

describe.concurrent('a service whose password only the swarm stores', () => {
  test('is updated without a digest and with a warning, and nodes can pull the image', async () => {
    const image = guarded('unpinned')
    const { status, body } = await deployer.put('stored?wait=150', image)
    expect([status, body.verdict, body.resolved]).toEqual([200, 'converged', image])
    expect(body.warnings).toEqual([expect.stringContaining('is not pinned to a digest')])
    expect(await runningImages(lab.engine, 'stored')).toEqual([image])
  })

  test('keeps the password of an earlier deployment', async () => {
    const header = headerFor(PASSWORD)
    const pinned = await deployer.put('stored-pinned?wait=150', guarded('pinned'), ...header)
    expect(pinned.body).toMatchObject({ verdict: 'converged', resolved: /@sha256/ })
    const unpinned = await deployer.put('stored-pinned?wait=150', guarded('later'))
    expect(unpinned.body).toMatchObject({ verdict: 'converged', resolved: guarded('later') })
  })

  test('is updated without a digest and without a warning with RESOLVE_IMAGE=never', async () => {
    const { put } = await start({ RESOLVE_IMAGE: 'never' })
    const { status, body } = await put('stored-never?wait=150', guarded('never'))
    expect([status, body.verdict]).toEqual([200, 'converged'])
    expect([body.resolved, body.warnings]).toEqual([guarded('never'), undefined])
  })

  test('is paused with a missing image, with the rejected task as evidence', async () => {
    const { status, body } = await deployer.put('stored-absent?wait=150', guarded('nosuch'))
    expect([status, body.verdict]).toEqual([424, 'paused'])
    expect(body.tasks).toMatchObject([{ state: 'rejected', error: /No such image/ }])
  })

  test('gets a warning with an image of another registry, since there are no credentials', async () => {
    const { status, body } = await deployer.put('stored-moved?wait=150', `${v2}`)
    expect([status, body.verdict]).toEqual([200, 'converged'])
    expect(body.warnings).toEqual([expect.stringContaining('no credentials were given')])
  })
})

describe.concurrent('refused before the service is changed', () => {
  /** Asserts that the service has not changed. Gives status, code, detail and `Retry-After`. */
  async function refusal(name: string, image: string): Promise<readonly unknown[]> {
    await create(name, ['--replicas=0'])
    const raw = await settledBytes(lab.engine, name)
    const { status, body, headers } = await deployer.put(`${name}?wait=150`, image)
    expect((await inspectService(lab.engine, name)).raw).toBe(raw)
    return [status, body.code, body.detail, headers['retry-after']]
  }

  test('an image for a platform that no node has', async () => {
    await pushForPlatform(lab.registry.address, 'lab/app:v2', {
      tag: 'arm',
      platform: { architecture: 'arm64', os: 'linux' },
    })
    const [status, code, detail] = await refusal('foreign', lab.image('lab/app:arm'))
    expect([status, code]).toEqual([422, 'no-suitable-node'])
    expect(detail).toContain('it is for linux/arm64, and the nodes of the swarm are linux/amd64')
    const dry = await deployer.put('foreign?dryRun=true', lab.image('lab/app:arm'))
    expect([dry.status, dry.body.code]).toEqual([422, 'no-suitable-node'])
  })

  test('a tag or a repository that does not exist', async () => {
    const absent = [422, 'image-not-found', expect.stringContaining('push it first'), undefined]
    expect(await refusal('no-tag', lab.image('lab/app:nosuch'))).toEqual(absent)
    expect(await refusal('no-repository', lab.image('lab/nosuch:v1'))).toEqual(absent)
  })

  test('a registry that does not listen', async () => {
    const [port] = await freePorts(1)
    const [status, code, detail, retryAfter] = await refusal('down', `127.0.0.1:${port}/a/b:1`)
    expect([status, code, retryAfter]).toEqual([503, 'registry-unavailable', '5'])
    expect(detail).toContain('cannot be reached from the engine')
  })

  test('a registry that accepts connections and does not respond', async () => {
    const silent: Server = createServer().listen(0, '127.0.0.1')
    await waitFor('the silent registry', () => silent.listening)
    const { port } = silent.address() as { port: number }
    const [status, code] = await refusal('silent', `127.0.0.1:${port}/a/b:1`)
    expect([status, code]).toEqual([503, 'registry-unavailable'])
    silent.close()
  })
})

test('the platforms of an image for several platforms are written to the spec, without attestations', async () => {
  const { address } = lab.registry
  const push = (tag: string, architecture: string, os = 'linux') =>
    pushForPlatform(address, 'lab/app:v2', { tag, platform: { architecture, os } })
  const platforms = [
    ['amd64', 'linux'],
    ['arm64', 'linux'],
    ['arm', 'linux'],
    ['unknown', 'unknown'],
  ] as const
  const list = await pushList(
    address,
    'lab/app:several',
    await Promise.all(
      platforms.map(async ([architecture, os], index) => ({
        ...(await push(`part${index}`, architecture, os)),
        platform: { architecture, os },
      })),
    ),
  )
  await create('several')
  const { body } = await deployer.put('several?wait=150', lab.image('lab/app:several'))
  expect(body).toMatchObject({
    verdict: 'converged',
    resolved: `${lab.image('lab/app:several')}@${list.digest}`,
  })
  const { Spec } = await inspectService(lab.engine, 'several')
  expect(Spec.TaskTemplate.Placement?.Platforms).toEqual([
    { Architecture: 'amd64', OS: 'linux' },
    { Architecture: 'arm64', OS: 'linux' },
    { OS: 'linux' },
  ])
})

test('no log line contains a password', async () => {
  const absent = await deployer.put('strange', guarded('nosuch'), ...headerFor(PASSWORD))
  expect([absent.status, absent.body.code]).toEqual([422, 'image-not-found'])
  const headers = ['open barley', PASSWORD].map((password) => headerFor(password)[1]?.slice(17))
  const logs = deployers.map(({ process }) => process.output.stdout + process.output.stderr)
  expect(logs.join('')).toMatch(/image-not-readable.*image-not-found/s)
  for (const secret of [PASSWORD, ACCOUNT, ...headers]) {
    expect(secret).toMatch(/^[\w=-]{20}|^open sesame$/)
    expect(logs.filter((text) => text.includes(`${secret}`))).toEqual([])
  }
})
