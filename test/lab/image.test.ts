// The image of the Dockerfile, run with the command of the README, where it updates another service and
// then itself, and as the stack of the README.

import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { curl } from '../support/curl.ts'
import { codeUnder, fencedBlocks } from '../support/fenced-blocks.ts'
import { listeningPorts } from '../support/listening-ports.ts'
import { ensureNodeBase } from './node-base.ts'
import { freePorts } from './ports.ts'
import { listTasks } from './services.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const PROJECT = new URL('../../', import.meta.url).pathname
const lab = sharedLab()
const [first, second] = [lab.image('me/deployer:1'), lab.image('me/deployer:2')]
let url: string

/** The README's `docker service create` line, for this lab: its registry, socket, port and tube. */
function documentedCreate(port: number): readonly string[] {
  const readme = readFileSync(`${PROJECT}README.md`, 'utf8')
  const line = /^docker service create --name deployer[\s\S]*?[^\\]$/m.exec(readme)?.[0] ?? ''
  const template = Buffer.from('{{.ServiceName}} {{.Artifact}}').toString('base64')
  const notify = { addr: lab.beanstalkd.address, tube: 'from-the-image', template }
  const changes: readonly (readonly [string, string])[] = [
    ['docker ', ''],
    ['source=/var/run/docker.sock', `source=${lab.engine.socketPath}`],
    ['--publish 9999:9999', `--network host --env BIND=127.0.0.1:${port} --detach`],
    ['TOKEN=SOME_TOKEN', `TOKEN=SOME_TOKEN --env NOTIFY_FLAGS=${JSON.stringify(notify)}`],
    ['registry.example.com/deployer:1', first],
  ]
  const command = changes.reduce((text, [from, to]) => {
    expect(text).toContain(from)
    return text.replace(from, to)
  }, line)
  return command.replaceAll('\\\n', ' ').split(/\s+/)
}

function deploy(service: string, image: string) {
  const body = JSON.stringify({ image })
  const header = 'Authorization: SOME_TOKEN'
  return curl('--header', header, '-X', 'PUT', '-d', body, `${url}/service/${service}`)
}

describe('the image', () => {
  beforeAll(async () => {
    await ensureNodeBase(lab.engine)
    await lab.engine.docker('build', '--network=host', '--quiet', '--tag', first, PROJECT)
    await lab.engine.docker('tag', first, second)
    await lab.engine.docker('push', '--quiet', first)
    await lab.engine.docker('push', '--quiet', second)
    const [port = 0] = await freePorts(1)
    url = `http://127.0.0.1:${port}`
    await lab.engine.docker(...documentedCreate(port))
    await lab.engine.docker(
      'service',
      'update',
      '--detach',
      '--label-add=deployer.allowUpdates=true',
      'deployer',
    )
    await waitFor(
      'Deployer to answer',
      () =>
        curl(url).then(
          () => true,
          () => false,
        ),
      {
        describe: async () =>
          JSON.stringify((await listTasks(lab.engine, 'deployer')).map(({ Status }) => Status)),
      },
    )
  }, 300_000)

  afterAll(async () => {
    await lab.engine.docker('service', 'rm', 'deployer')
  })

  test('updates another service', async () => {
    const [v1, v2] = [lab.image('lab/app:v1'), lab.image('lab/app:v2')]
    const labels = { 'deployer.allowUpdates': 'true' }
    await lab.createService({ name: 'neighbour', image: v1, labels })
    expect((await deploy('neighbour', v2)).status).toBe(200)
    await lab.waitRunning('neighbour', v2)
    const job = await lab.beanstalkd.reserve('from-the-image')
    expect(job.body.toString()).toBe(`neighbour ${v2}`)
  })

  test('SIGUSR1 opens no inspector, because of a flag of Node', async () => {
    const filter = 'label=com.docker.swarm.service.name=deployer'
    const container = await lab.engine.docker('ps', '--quiet', '--filter', filter)
    const command = await lab.engine.docker('inspect', '--format', '{{json .Args}}', container)
    expect(JSON.parse(command)).toContain('--disable-sigusr1')
    await lab.engine.docker('kill', '--signal', 'SIGUSR1', container)
    expect((await curl(url)).status).toBe(404)
    expect(await lab.engine.docker('ps', '--quiet', '--filter', filter)).toBe(container)
    const pid = await lab.engine.docker('inspect', '--format', '{{.State.Pid}}', container)
    expect(listeningPorts(Number(pid))).toEqual([Number(new URL(url).port)])
  })

  test('updates itself: the caller gets a Location, the message is delivered, the old process exits with 0, the new one gives the verdict', async () => {
    const answer = await deploy('deployer?wait=150', second)
    expect([answer.status, answer.body.service]).toEqual([504, 'deployer'])
    expect((await lab.beanstalkd.reserve('from-the-image')).body.toString()).toBe(
      `deployer ${second}`,
    )
    await lab.waitRunning('deployer', second)
    const tasks = await listTasks(lab.engine, 'deployer')
    const old = tasks.find(({ Spec }) => Spec.ContainerSpec.Image.startsWith(first))
    expect(old?.Status).toMatchObject({ State: 'shutdown', ContainerStatus: { ExitCode: 0 } })
    await waitFor('the new process to respond', () =>
      curl(url).then(
        () => true,
        () => false,
      ),
    )
    const authorization = ['-H', 'Authorization: SOME_TOKEN']
    const verdict = await curl(...authorization, `${url}${answer.headers.location}?wait=150`)
    expect([verdict.status, verdict.body.verdict]).toEqual([200, 'converged'])
    const again = await deploy('deployer', second)
    const resolved = `${second}@${await lab.registry.digest('me/deployer:2')}`
    expect(again.body).toMatchObject({ verdict: 'unchanged', resolved, previous: resolved })
  })

  test('is healthy by its own check', async () => {
    const filter = 'label=com.docker.swarm.service.name=deployer'
    const container = await lab.engine.docker('ps', '--quiet', '--filter', filter)
    const health = ['inspect', '--format', '{{json .State.Health}}', container]
    expect(JSON.parse(await lab.engine.docker(...health))).toMatchObject({ Status: 'healthy' })
  })

  test('contains the executable, the licences and no packages', async () => {
    const find = ['run', '--rm', '--network=host', '--entrypoint=find', first, '/app', '-type', 'f']
    const files = await lab.engine.docker(...find)
    expect(files.split('\n').sort()).toEqual([
      '/app/dist/licenses.txt',
      '/app/dist/node/main.js',
      '/app/package.json',
    ])
  })

  test('runs as the stack of the README, with its secrets and its volume', async (context) => {
    const [port = 0] = await freePorts(1)
    const file = join(lab.directory, 'deployer.yml')
    const template = Buffer.from('{{.ServiceName}} {{.Event}}').toString('base64')
    const notify = { addr: lab.beanstalkd.address, tube: 'from-the-stack', template }
    const secrets = { 'deployer-token': 'a token from a secret', 'deployer-notify': notify }
    for (const [name, secret] of Object.entries(secrets)) {
      const path = join(lab.directory, name)
      await writeFile(path, typeof secret === 'string' ? `${secret}\n` : JSON.stringify(secret))
      await lab.engine.docker('secret', 'create', name, path)
    }
    context.onTestFinished(async () => {
      await lab.engine.docker('stack', 'rm', 'cd')
      await lab.engine.docker('secret', 'rm', ...Object.keys(secrets))
    })
    await writeFile(file, documentedStack(port))
    await lab.engine.docker('stack', 'deploy', '--compose-file', file, 'cd')
    await lab.waitRunning('cd_deployer', first)
    const stackUrl = `http://127.0.0.1:${port}`
    const readLogs = () => lab.engine.docker('service', 'logs', '--raw', 'cd_deployer')
    await waitFor(
      'the stack to respond',
      () =>
        curl(stackUrl).then(
          () => true,
          () => false,
        ),
      { describe: readLogs },
    )
    const logs = await readLogs()
    expect(logs).toContain('"notifications are configured"')
    expect(logs).not.toContain('SPOOL_DIR cannot be used')

    const labels = { 'deployer.allowUpdates': 'true' }
    await lab.createService({ name: 'of-the-stack', image: lab.image('lab/app:v1'), labels })
    const body = JSON.stringify({ image: lab.image('lab/app:v2') })
    const header = 'Authorization: Bearer a token from a secret'
    const place = `${stackUrl}/service/of-the-stack`
    expect((await curl('--header', header, '-X', 'PUT', '-d', body, place)).status).toBe(200)
    const job = await lab.beanstalkd.reserve('from-the-stack')
    expect(job.body.toString()).toBe('of-the-stack accepted')
  })
})

/** The README's stack file of Deployer, for this lab: its registry, socket and node, without an overlay. */
function documentedStack(port: number): string {
  const changes: readonly (readonly [string, string])[] = [
    ['registry.example.com/deployer:1', first],
    ['"/var/run/docker.sock:', `"${lab.engine.socketPath}:`],
    [', node.hostname == manager1', ''],
    ['{driver: overlay, attachable: true}', '{external: true, name: host}'],
    ['    ports: ["9999:9999"]\n', ''],
    ['      SPOOL_DIR: /spool\n', `      SPOOL_DIR: /spool\n      BIND: "127.0.0.1:${port}"\n`],
  ]
  return changes.reduce(
    (text, [from, to]) => {
      expect(text).toContain(from)
      return text.replace(from, to)
    },
    codeUnder(fencedBlocks('README.md'), 'Run it', { language: 'yaml' }),
  )
}
