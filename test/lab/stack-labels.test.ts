// The label that allows updates, in the forms that a stack file may have.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type LabDeployer, removeServices, startLabDeployer } from './lab-deployer.ts'
import { sharedLab } from './shared-lab.ts'

const lab = sharedLab()
let deployer: LabDeployer
let folder: string

beforeAll(async () => {
  deployer = await startLabDeployer(lab.engine)
  folder = await mkdtemp(join(tmpdir(), 'stack-'))
})

afterAll(async () => {
  await deployer.kill()
  await removeServices(lab.engine)
  await rm(folder, { recursive: true })
})

/** Deploys a stack with the service `app`. Gives Deployer's description of that service. */
async function deployStack(name: string, labels: string): Promise<Record<string, unknown>> {
  const file = join(folder, `${name}.yml`)
  const text = `version: "3.8"
services:
  app:
    image: ${lab.image('lab/app:v1')}
    networks: [host]
${labels}
networks:
  host:
    name: host
    external: true
`
  await writeFile(file, text)
  await lab.engine.docker('stack', 'deploy', '--compose-file', file, name)
  return (await deployer.get(`/service/${name}_app`)).body
}

const underDeploy = (label: string): string =>
  `    deploy:\n      replicas: 0\n      labels:\n        ${label}`

describe('the label in a stack file', () => {
  test.each([
    ['map', 'deployer.allowUpdates: "true"'],
    ['list', '- deployer.allowUpdates=true'],
    ['quoted-list', '- "deployer.allowUpdates=true"'],
  ])('under deploy.labels as a %s it allows updates', async (name, label) => {
    expect((await deployStack(name, underDeploy(label))).allowsUpdates).toBe(true)
  })

  test.each([
    [
      'inner-quotes',
      underDeploy("- deployer.allowUpdates='true'"),
      `value "'true'" (the quotation`,
    ],
    ['yes', underDeploy('deployer.allowUpdates: "yes"'), 'value "yes", and only'],
    ['number', underDeploy('deployer.allowUpdates: 1'), 'value "1", and only'],
    [
      'container',
      '    labels:\n      deployer.allowUpdates: "true"\n    deploy:\n      replicas: 0',
      'it belongs under deploy.labels',
    ],
  ])(
    'in the form %s it does not allow updates, and the response has the reason',
    async (name, labels, reason) => {
      const body = await deployStack(name, labels)
      expect(body).toMatchObject({ allowsUpdates: false, reason: expect.stringContaining(reason) })
    },
  )

  test('as a boolean without quotation marks it is rejected by Docker', async () => {
    const deployed = deployStack('boolean', underDeploy('deployer.allowUpdates: true'))
    await expect(deployed).rejects.toThrow(/allowUpdates/)
  })
})
