// `npm run demo`: the main job, from a service on a private swarm to the message that arrives.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Lab, raiseLab } from './lab.ts'
import { freePorts } from './ports.ts'
import { runProgram } from './processes.ts'
import { listTasks } from './services.ts'
import { waitFor } from './wait.ts'

const MAIN = join(import.meta.dirname, '../../dist/node/main.js')
const TEMPLATE = '{"text": "{{.ServiceName}} now runs {{.Artifact}}"}'

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
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let isListening = false
  createInterface(child.stdout).on('line', (line) => {
    isListening ||= line.includes('"msg":"listening"')
    console.log(`  deployer: ${line}`)
  })
  await waitFor('Deployer to listen', () => isListening)
  return async () => {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
}

async function showTasks(lab: Lab): Promise<void> {
  const tasks = await listTasks(lab.engine, 'blog')
  for (const { Slot, Status, DesiredState, Spec } of tasks.toSorted(
    (a, b) => (a.Slot ?? 0) - (b.Slot ?? 0),
  )) {
    const image = Spec.ContainerSpec.Image.replace(/@.*/, '')
    console.log(`  blog.${Slot}  ${image}  ${Status.State} (wanted: ${DesiredState})`)
  }
}

async function demo(lab: Lab): Promise<void> {
  const [v1, v2] = [lab.image('lab/app:v1'), lab.image('lab/app:v2')]
  const [port] = await freePorts(1)

  say('A service whose owner allows updates')
  const create = ['service', 'create', '--name', 'blog', '--label', 'deployer.allowUpdates=true']
  show(['docker', ...create, '--replicas', '2', v1])
  await lab.createService({
    name: 'blog',
    image: v1,
    labels: { 'deployer.allowUpdates': 'true' },
    replicas: 2,
  })
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

  say('The last line of a pipeline')
  const url = `http://127.0.0.1:${port}/service/blog`
  const data = JSON.stringify({ image: v2 })
  const line = ['--header', 'Authorization: SOME_TOKEN', '-X', 'PUT', '-d', data, url]
  show(['curl', ...line])
  const { stdout } = await runProgram('curl', [
    '--silent',
    '--show-error',
    '--fail-with-body',
    ...line,
  ])
  console.log(`  ${stdout}`)

  say('What changed in the swarm')
  await lab.waitRunning('blog', v2, 2)
  await showTasks(lab)

  say('The message that arrived on the tube "chat"')
  console.log(`  ${(await lab.beanstalkd.reserve('chat')).body}`)
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
