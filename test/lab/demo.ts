// `npm run demo`: a good rollout and a bad one on a private swarm, and what the pipeline is told.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { spawnOwned } from '../support/owned-process.ts'
import { type Lab, raiseLab } from './lab.ts'
import { freePorts } from './ports.ts'
import { listTasks } from './services.ts'
import { waitFor } from './wait.ts'

const MAIN = join(import.meta.dirname, '../../dist/node/main.js')
const TEMPLATE = '{"text": "{{.ServiceName}} gets {{.Artifact}}"}'
const LONGEST_VALUE = 120

function say(text: string): void {
  console.log(`\n# ${text}`)
}

function show(command: readonly string[]): void {
  const words = command.map((word) => (/[^\w@%+=:,./-]/.test(word) ? `'${word}'` : word))
  console.log(`$ ${words.join(' ')}`)
}

/** Starts the built Deployer, its log on standard output; gives a function that ends it. */
async function startDeployer(env: Readonly<Record<string, string>>): Promise<() => Promise<void>> {
  for (const [name, value] of Object.entries(env)) {
    console.log(`  ${name}=${value}`)
  }
  show(['node', 'dist/node/main.js'])
  const child = spawnOwned(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let isListening = false
  if (child.stdout === null) throw new Error('Deployer has no output')
  createInterface(child.stdout).on('line', (line) => {
    const { level, msg, verdict = '' } = JSON.parse(line)
    isListening ||= msg === 'listening'
    console.log(`  deployer: ${level}: ${msg} ${verdict}`)
  })
  await waitFor('Deployer to listen', () => isListening)
  return async () => {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
}

/** The last line of a pipeline, which is red when curl fails. */
async function deploy(url: string, image: string): Promise<void> {
  const line = ['-H', 'Authorization: Bearer SOME_TOKEN', '-X', 'PUT', '-d', `{"image":"${image}"}`]
  const command = ['--fail-with-body', ...line, `${url}/service/blog?wait=50`]
  show(['curl', ...command])
  const child = spawn('curl', ['--silent', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [body, status] = await Promise.all([textOf(child), exitOf(child)])
  const pretty = JSON.stringify(JSON.parse(body), shortened, 2)
  console.log(pretty.replace(/^/gm, '  '))
  console.log(`$ echo $?\n  ${status}   # ${status === 0 ? 'green' : 'red'}`)
}

async function textOf(child: ChildProcess): Promise<string> {
  let text = ''
  for await (const piece of child.stdout ?? []) {
    text += piece
  }
  return text
}

async function exitOf(child: ChildProcess): Promise<number> {
  const [status] = await once(child, 'close')
  return status
}

/** The ID is long: it holds all that is to be known of the deployment. */
function shortened(_: string, value: unknown): unknown {
  const isLong = typeof value === 'string' && !value.includes(' ') && value.length > LONGEST_VALUE
  return isLong ? `${value.slice(0, LONGEST_VALUE)}…` : value
}

async function showTasks(lab: Lab): Promise<void> {
  const tasks = await listTasks(lab.engine, 'blog')
  const wanted = tasks.filter(({ DesiredState }) => DesiredState === 'running')
  for (const { Slot, Status, Spec } of wanted.toSorted((a, b) => (a.Slot ?? 0) - (b.Slot ?? 0))) {
    const image = Spec.ContainerSpec.Image.replace(/@.*/, '')
    console.log(`  blog.${Slot}  ${image}  ${Status.State}`)
  }
}

async function demo(lab: Lab): Promise<void> {
  const [v1, v2, bad] = ['v1', 'v2', 'bad'].map((tag) => lab.image(`lab/app:${tag}`)) as [
    string,
    string,
    string,
  ]
  const [port] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`

  say('A service whose owner allows updates, and wants failed ones rolled back')
  const labels = { 'deployer.allowUpdates': 'true' }
  const args = [
    '--update-order=start-first',
    '--update-failure-action=rollback',
    '--update-monitor=3s',
  ]
  const flags = ['--name=blog', '--label=deployer.allowUpdates=true', '--replicas=2', ...args]
  show(['docker', 'service', 'create', ...flags, v1])
  await lab.createService({ name: 'blog', image: v1, labels, replicas: 2, args })
  await lab.waitRunning('blog', v1, 2)
  await showTasks(lab)

  say('Deployer')
  const template = Buffer.from(TEMPLATE).toString('base64')
  const stop = await startDeployer({
    TOKEN: 'SOME_TOKEN',
    DOCKER_HOST: lab.engine.dockerHost,
    BIND: `127.0.0.1:${port}`,
    NOTIFY_FLAGS: JSON.stringify({ addr: lab.beanstalkd.address, tube: 'chat', template }),
  })

  say('The last line of a pipeline: a good image')
  await deploy(url, v2)
  await showTasks(lab)

  say('The message that arrived on the tube "chat"')
  console.log(`  ${(await lab.beanstalkd.reserve('chat')).body}`)

  say('The same line with an image that cannot find its database')
  await deploy(url, bad)
  await showTasks(lab)
  await stop()
}

say('A private Docker Engine with a swarm, a registry and beanstalkd')
const lab = await raiseLab({ log: (line) => console.log(`  ${line}`) })
try {
  await demo(lab)
} finally {
  say('Taking it all down')
  await lab.down()
}
console.log('  done')
