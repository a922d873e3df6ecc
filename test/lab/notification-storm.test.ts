// No notification is lost: beanstalkd and Deployer are killed many times during 2,000 deployments. A
// message is delivered when beanstalkd has acknowledged it, as a recorder between the two observes.

import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BeanstalkdRecorder, startBeanstalkdRecorder } from '../support/beanstalkd-recorder.ts'
import { type Beanstalkd, createBeanstalkd } from './beanstalkd.ts'
import { ALLOWED, type LabDeployer, removeServices, startLabDeployer } from './lab-deployer.ts'
import { freePorts } from './ports.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const DEPLOYMENTS = 2000
const CALLERS = 8
const DEPLOYER_KILLS = 10
const TUBE = 'storm'
// How much the error of a failed wait shows.
const LOG_LINES = 40
const SPOOL_FILES = 20
const SPOOL_FILE_LENGTH = 1000
const EVENTS = [
  ...['accepted', 'unchanged', 'converged', 'rolled-back', 'paused', 'failed', 'timed-out'],
  ...['superseded', 'removed', 'unknown'],
]
const TEMPLATE =
  '{"id": {{json .MessageID}}, "event": {{json .Event}}, "n": {{json .Meta.n}}, "deployment": {{json .DeploymentID}}}'

interface Message {
  readonly id: string
  readonly event: string
  readonly n: string
  readonly deployment: string
}

const lab = sharedLab()
let beanstalkd: Beanstalkd
let recorder: BeanstalkdRecorder
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(lab.directory, 'storm-'))
  const [port = 0] = await freePorts(1)
  beanstalkd = await createBeanstalkd(directory, port)
  await beanstalkd.start()
  recorder = await startBeanstalkdRecorder(port)
  // Without tasks a rollout ends at once, so that the load is on Deployer.
  for (let i = 0; i < CALLERS; i += 1) {
    const image = lab.image('lab/app:v1')
    await lab.createService({ name: `storm-${i}`, image, labels: ALLOWED, replicas: 0 })
  }
})

afterAll(async () => {
  await recorder.close()
  await beanstalkd.stop()
  await removeServices(lab.engine)
})

/** Kills and starts beanstalkd at random, about once a second. Gives a function that ends this. */
function killAtRandom(daemon: Beanstalkd): () => Promise<number> {
  let isOver = false
  let kills = 0
  const done = (async () => {
    while (!isOver) {
      await pause(200 + Math.random() * 1600)
      await daemon.kill()
      kills += 1
      await pause(Math.random() * 400)
      await daemon.start()
    }
  })()
  return async () => {
    isOver = true
    await done
    return kills
  }
}

test('every accepted deployment has a message, and one with its verdict', async () => {
  const [port = 0] = await freePorts(1)
  const template = Buffer.from(TEMPLATE).toString('base64')
  const env = {
    BIND: `127.0.0.1:${port}`,
    SPOOL_DIR: join(directory, 'spool'),
    NOTIFY_FLAGS: JSON.stringify({
      addr: recorder.address,
      tube: TUBE,
      template,
      events: EVENTS,
    }),
  }
  const url = `http://127.0.0.1:${port}`
  const accepted = new Map<string, string>()
  let next = 0
  let retries = 0

  /** Like a pipeline, repeats a request with the same key until it gets a response. */
  async function call(caller: number): Promise<void> {
    for (let n = next++; n < DEPLOYMENTS; n = next++) {
      const body = JSON.stringify({
        image: lab.image('lab/app:v2'),
        force: true,
        metadata: { n: `${n}` },
      })
      const headers = { Authorization: 'x', 'Idempotency-Key': `${n}` }
      for (;;) {
        const response = await fetch(`${url}/service/storm-${caller}`, {
          method: 'PUT',
          body,
          headers,
        })
          .then(async (one) => ({ status: one.status, body: await one.json() }))
          .catch(() => undefined)
        if (response?.status === 200) {
          accepted.set(`${n}`, JSON.stringify(response.body))
          break
        }
        if (response !== undefined && response.status < 500) {
          throw new Error(`deployment ${n}: ${JSON.stringify(response)}`)
        }
        retries += 1
        await pause(100)
      }
    }
  }

  const deployers: LabDeployer[] = [await startLabDeployer(lab.engine, env)]

  /** The state, for the error of a failed wait. */
  async function describe(): Promise<string> {
    const missing = missingOf([...accepted.keys()], delivered())
    const logs = deployers
      .slice(-2)
      .map(({ process }) => process.output.stdout.split('\n').slice(-LOG_LINES).join('\n'))
    return [
      `${accepted.size} deployments are accepted, ${recorder.acknowledged.length} messages are acknowledged`,
      `missing: ${missing.length === 0 ? 'nothing' : missing.join(', ')}`,
      `the spool:\n${await spoolContent(env.SPOOL_DIR)}`,
      `the ends of the last two logs of Deployer:\n${logs.join('\n')}`,
    ].join('\n')
  }

  const stopKilling = killAtRandom(beanstalkd)
  const calling = Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)))
  for (let kill = 1; kill <= DEPLOYER_KILLS; kill += 1) {
    const until = (DEPLOYMENTS * (kill - Math.random() / 2)) / (DEPLOYER_KILLS + 1)
    await waitFor(`${until} deployments`, async () => accepted.size > until, {
      timeoutMs: 240_000,
      describe,
    })
    await deployers.at(-1)?.kill()
    deployers.push(await startLabDeployer(lab.engine, env))
  }
  await calling
  const beanstalkdKills = await stopKilling()

  await waitFor(
    'an acknowledged "accepted" and an acknowledged verdict of every accepted deployment',
    () => missingOf([...accepted.keys()], delivered()).length === 0,
    { timeoutMs: 240_000, intervalMs: 250, describe },
  )
  // The second copy of a message may be delivered later.
  await waitFor(
    'the spool to be empty',
    async () => (await spoolFiles(env.SPOOL_DIR)).length === 0,
    { timeoutMs: 120_000, intervalMs: 250, describe },
  )
  await deployers.at(-1)?.kill()
  const messages = delivered()
  const kept = new Set<string>()
  while ((await beanstalkd.countJobs(TUBE)) > 0) {
    kept.add((await beanstalkd.reserve(TUBE)).body.toString())
  }

  const ids = new Set(messages.map(({ id }) => id))
  const lost = recorder.acknowledged.filter(({ body }) => !kept.has(body.toString()))
  console.log(
    `${accepted.size} deployments accepted after ${retries} requests without an answer; ` +
      `beanstalkd was killed ${beanstalkdKills} times, Deployer ${DEPLOYER_KILLS} times; ` +
      `${messages.length} messages, of which ${messages.length - ids.size} are doubles; ` +
      `beanstalkd itself lost ${lost.length} of those that it had acknowledged`,
  )
  expect(accepted.size).toBe(DEPLOYMENTS)
  expect(beanstalkdKills).toBeGreaterThan(5)
  // A deployment has exactly one verdict. A request that joins it after a kill may have its own message
  // `accepted`, with another ID.
  const ends = new Map<string, Set<string>>()
  for (const { n, event } of messages) {
    const verdicts = ends.get(n) ?? new Set()
    ends.set(n, event === 'accepted' ? verdicts : verdicts.add(event))
  }
  expect([...ends.values()].filter(({ size }) => size > 1)).toEqual([])
  expect([...ends.values()].filter(({ size }) => size === 0)).toEqual([])
}, 900_000)

/** The messages that beanstalkd acknowledged to Deployer. */
function delivered(): readonly Message[] {
  return recorder.acknowledged.map(({ body }) => JSON.parse(body.toString()))
}

/** Lists the messages that are not delivered yet, by the numbers of the accepted deployments. */
function missingOf(numbers: readonly string[], messages: readonly Message[]): readonly string[] {
  const accepted = new Set(messages.filter(isAccepted).map(({ n }) => n))
  const ended = new Set(messages.filter((message) => !isAccepted(message)).map(({ n }) => n))
  return [
    ...numbers.filter((n) => !accepted.has(n)).map((n) => `"accepted" of ${n}`),
    ...numbers.filter((n) => !ended.has(n)).map((n) => `the verdict of ${n}`),
  ]
}

function isAccepted({ event }: Message): boolean {
  return event === 'accepted'
}

async function spoolFiles(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true })
  return names.filter((name) => name.endsWith('.json'))
}

async function spoolContent(directory: string): Promise<string> {
  const names = await spoolFiles(directory)
  const shown = names.slice(0, SPOOL_FILES).map(async (name) => {
    const content = await readFile(join(directory, name), 'utf8').catch(() => 'deleted meanwhile')
    return `${name}: ${content.trim().slice(0, SPOOL_FILE_LENGTH)}`
  })
  return [`${names.length} records`, ...(await Promise.all(shown))].join('\n')
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
