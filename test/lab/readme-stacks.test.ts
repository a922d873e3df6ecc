// The stack files of the README, deployed with `docker stack deploy`: the engine accepts them as they are.
// Their images do not exist, so no task runs; `image.test.ts` runs the one of Deployer.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { codeUnder, fencedBlocks } from '../support/fenced-blocks.ts'
import { sharedLab } from './shared-lab.ts'

const lab = sharedLab()
const readme = fencedBlocks('README.md')
const SECRETS = ['deployer-token', 'deployer-notify']
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'readme-stacks-'))
  const file = join(folder, 'secret')
  await writeFile(file, 'a secret')
  for (const secret of SECRETS) await lab.engine.docker('secret', 'create', secret, file)
})

afterAll(async () => {
  await lab.engine.docker('stack', 'rm', 'cd', 'shop')
  await lab.engine.docker('secret', 'rm', ...SECRETS)
  await rm(folder, { recursive: true })
})

/** Deploys the file under a heading, and returns the spec of one service. */
async function deployStack(heading: string, stack: string, service: string) {
  const file = join(folder, `${stack}.yml`)
  await writeFile(file, codeUnder(readme, heading, { language: 'yaml' }))
  await lab.engine.docker('stack', 'deploy', '--compose-file', file, stack)
  const { text } = await lab.engine.request('GET', `/services/${stack}_${service}`)
  return JSON.parse(text).Spec
}

test('the stack of Deployer has its secrets, its volume, the socket and a published port', async () => {
  const { TaskTemplate, EndpointSpec } = await deployStack('Run it', 'cd', 'deployer')
  const { Secrets, Mounts, Env } = TaskTemplate.ContainerSpec
  const names = Secrets.map(({ SecretName }: { SecretName: string }) => SecretName)
  expect(names.toSorted()).toEqual(SECRETS.toSorted())
  expect(Env).toContain('TOKEN_FILE=/run/secrets/deployer-token')
  expect(Env).toContain('NOTIFY_FLAGS_FILE=/run/secrets/deployer-notify')
  expect(Mounts).toMatchObject([
    { Type: 'bind', Target: '/var/run/docker.sock' },
    { Type: 'volume', Source: 'cd_spool', Target: '/spool' },
  ])
  expect(EndpointSpec.Ports).toMatchObject([{ TargetPort: 9999, PublishedPort: 9999 }])
})

test('the stack of an app has the label, a health check and the update settings', async () => {
  const { Labels, TaskTemplate, UpdateConfig } = await deployStack(
    'Prepare a service',
    'shop',
    'web',
  )
  expect(Labels['deployer.allowUpdates']).toBe('true')
  expect(TaskTemplate.ContainerSpec.Healthcheck.Retries).toBe(3)
  expect(UpdateConfig).toMatchObject({
    FailureAction: 'rollback',
    Order: 'start-first',
    Monitor: 10_000_000_000,
  })
})
