// `npm run demo`: a rollout that converges and one that is rolled back, on a private swarm. With `--stay`
// the swarm and Deployer keep running until Ctrl-C.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { spawnOwned } from '../support/owned-process.ts'
import { type Lab, raiseLab } from './lab.ts'
import { freePorts } from './ports.ts'
import { listTasks } from './services.ts'
import { waitFor } from './wait.ts'

const MAIN = join(import.meta.dirname, '../../dist/node/main.js')
const TUBE = 'chat'
const EVENTS = ['converged', 'rolled-back', 'paused', 'failed', 'timed-out']
const TEMPLATE =
  '{"event": {{json .Event}}, "service": {{json .ServiceName}}, "image": {{json .Artifact}}, "error": {{json .Error}}}'
const TOKEN = randomBytes(16).toString('base64url')
const LONGEST_WORD = 100

/** What a deployment of the demo came to. */
interface Summary {
  readonly image: string
  readonly curlStatus: number
  readonly verdict: string
  readonly message: string
}

function heading(text: string): void {
  console.log(`\n# ${text}`)
}

function showCommand(words: readonly string[]): void {
  const quoted = words.map((word) => (/[^\w@%+=:,./-]/.test(word) ? `'${word}'` : word))
  console.log(`$ ${quoted.join(' ')}`)
}

/** Shows lines, with the IDs of deployments shortened. */
function showLines(text: string): void {
  const words = new RegExp(`(\\S{${LONGEST_WORD}})\\S+`, 'g')
  console.log(text.trimEnd().replace(words, '$1…').replace(/^/gm, '  '))
}

/** Starts the built Deployer and shows its log. */
async function startDeployer(env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  for (const [name, value] of Object.entries(env)) console.log(`  ${name}=${value}`)
  showCommand(['node', 'dist/node/main.js'])
  const child = spawnOwned(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let isListening = false
  if (child.stdout === null) throw new Error('Deployer has no standard output')
  createInterface(child.stdout).on('line', (line) => {
    const { level, msg, verdict = '' } = JSON.parse(line)
    isListening ||= msg === 'listening'
    console.log(`  deployer: ${level}: ${msg} ${verdict}`.trimEnd())
  })
  await waitFor('Deployer to listen', () => isListening)
  return child
}

/** The last command of a pipeline, which fails when curl does. */
function deployCommand(url: string, image: string): readonly string[] {
  const headers = [`Authorization: Bearer ${TOKEN}`, 'Accept: text/plain']
  return [
    ...['curl', '--fail-with-body', ...headers.flatMap((header) => ['--header', header])],
    ...['--request', 'PUT', '--data', `{"image":"${image}"}`, `${url}/service/blog?wait=50`],
  ]
}

async function deploy(lab: Lab, url: string, image: string): Promise<Summary> {
  const [program = 'curl', ...args] = deployCommand(url, image)
  showCommand([program, ...args])
  const child = spawn(program, ['--silent', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let answer = ''
  for await (const piece of child.stdout) answer += piece
  showLines(answer)
  const [curlStatus] = await closed
  console.log(`$ echo $?\n  ${curlStatus}`)
  await showTasks(lab)

  heading(`The message in the tube "${TUBE}", decoded`)
  const message = JSON.parse((await lab.beanstalkd.reserve(TUBE)).body.toString())
  for (const [name, value] of Object.entries(message)) showLines(`${name}: ${value}`)
  const [verdict = ''] = answer.split(':')
  return { image, curlStatus, verdict, message: `${message.event} ${message.error}`.trimEnd() }
}

async function showTasks(lab: Lab): Promise<void> {
  const tasks = await listTasks(lab.engine, 'blog')
  const current = tasks.filter(({ DesiredState }) => DesiredState === 'running')
  showCommand(['docker', 'service', 'ps', 'blog'])
  for (const { Slot, Status, Spec } of current.toSorted((a, b) => (a.Slot ?? 0) - (b.Slot ?? 0))) {
    const image = Spec.ContainerSpec.Image.replace(/@.*/, '')
    console.log(`  blog.${Slot}  ${image}  ${Status.State}`)
  }
}

async function createBlog(lab: Lab, image: string): Promise<void> {
  const labels = { 'deployer.allowUpdates': 'true' }
  // The bad image exits after a second: the monitor must be longer.
  const args = [
    ...['--update-order=start-first', '--update-failure-action=rollback'],
    '--update-monitor=5s',
  ]
  const flags = ['--name=blog', '--label=deployer.allowUpdates=true', '--replicas=2', ...args]
  showCommand(['docker', 'service', 'create', ...flags, image])
  await lab.createService({ name: 'blog', image, labels, replicas: 2, args })
  await lab.waitRunning('blog', image, 2)
  await showTasks(lab)
}

function showSummary(summaries: readonly Summary[]): void {
  heading('Summary')
  for (const { image, curlStatus, verdict, message } of summaries) {
    const step = curlStatus === 0 ? 'the step of the pipeline succeeds' : 'the step fails'
    console.log(`  ${image}: ${verdict}; curl exits with ${curlStatus}, so ${step}`)
    console.log(`    the message: ${message}`)
  }
}

function showUsage(lab: Lab, url: string): void {
  heading('The swarm keeps running. In another terminal:')
  const docker = ['docker', '--host', lab.engine.dockerHost]
  showCommand([...docker, 'service', 'ps', 'blog'])
  showCommand(deployCommand(url, lab.image('lab/app:v3')))
  console.log(`  Images: ${['v1', 'v2', 'v3', 'bad'].map((tag) => `lab/app:${tag}`).join(', ')}`)
  console.log('  Press Ctrl-C to stop Deployer and remove the swarm.')
}

async function demo(lab: Lab, { isToStay, stopped }: DemoOptions): Promise<void> {
  const [port] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`

  heading('A service that allows updates, and rolls back those that fail')
  await createBlog(lab, lab.image('lab/app:v1'))

  heading('Deployer')
  console.log(`  The template of the messages, before base64: ${TEMPLATE}`)
  const template = Buffer.from(TEMPLATE).toString('base64')
  const { address: addr } = lab.beanstalkd
  const deployer = await startDeployer({
    TOKEN,
    DOCKER_HOST: lab.engine.dockerHost,
    BIND: `127.0.0.1:${port}`,
    NOTIFY_FLAGS: JSON.stringify({ addr, tube: TUBE, events: EVENTS, template }),
  })

  heading('The last command of a pipeline, with a good image')
  const good = await deploy(lab, url, lab.image('lab/app:v2'))

  heading('The same command, with an image that does not find its database')
  const bad = await deploy(lab, url, lab.image('lab/app:bad'))

  showSummary([good, bad])
  if (isToStay) {
    showUsage(lab, url)
    await stopped
  }
  const closed = once(deployer, 'close')
  deployer.kill('SIGTERM')
  await closed
}

interface DemoOptions {
  readonly isToStay: boolean
  /** Settles at Ctrl-C. */
  readonly stopped: Promise<unknown>
}

const isToStay = process.argv.includes('--stay')
// Listeners that stay: Ctrl-C reaches this process twice, from the terminal and from tsx.
const stopped = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => resolve())
})
heading('A private Docker Engine with a swarm, a registry and beanstalkd')
const lab = await raiseLab({ log: (line) => console.log(`  ${line}`) })
try {
  const finished = demo(lab, { isToStay, stopped })
  // The swarm is removed at Ctrl-C, wherever the demo is; what fails because of that does not matter.
  finished.catch(() => {})
  await Promise.race([finished, stopped])
} finally {
  heading('Removing the swarm')
  await lab.down()
}
console.log('  done')
// The parts of an interrupted demo may still wait for the swarm.
process.exit()
