// No notification is lost: beanstalkd and Deployer are killed again and again while CI deploys.

import { mkdtemp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Beanstalkd, createBeanstalkd } from './beanstalkd.ts'
import { ALLOWED, type LabDeployer, removeServices, startLabDeployer } from './lab-deployer.ts'
import { freePorts } from './ports.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const DEPLOYMENTS = 2000
const CALLERS = 8
const DEPLOYER_KILLS = 10
const TUBE = 'storm'
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
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(lab.directory, 'storm-'))
  const [port = 0] = await freePorts(1)
  beanstalkd = await createBeanstalkd(directory, port)
  await beanstalkd.start()
  // Without tasks a rollout ends at once, and the storm is Deployer's alone.
  for (let i = 0; i < CALLERS; i += 1) {
    const image = lab.image('lab/app:v1')
    await lab.createService({ name: `storm-${i}`, image, labels: ALLOWED, replicas: 0 })
  }
})

afterAll(async () => {
  await beanstalkd.stop()
  await removeServices(lab.engine)
})

/** Kills beanstalkd at random, about once a second, until told to stop. */
function beBadTo(daemon: Beanstalkd): () => Promise<number> {
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

test('2,000 deployments, and every accepted one has its message, and its verdict', async () => {
  const [port = 0] = await freePorts(1)
  const template = Buffer.from(TEMPLATE).toString('base64')
  const env = {
    BIND: `127.0.0.1:${port}`,
    SPOOL_DIR: join(directory, 'spool'),
    NOTIFY_FLAGS: JSON.stringify({
      addr: beanstalkd.address,
      tube: TUBE,
      template,
      events: EVENTS,
    }),
  }
  const url = `http://127.0.0.1:${port}`
  const accepted = new Map<string, string>()
  let next = 0
  let retries = 0

  /** As a pipeline does: the same request with the same key until it is answered. */
  async function call(caller: number): Promise<void> {
    for (let n = next++; n < DEPLOYMENTS; n = next++) {
      const body = JSON.stringify({
        image: lab.image('lab/app:v2'),
        force: true,
        metadata: { n: `${n}` },
      })
      const headers = { Authorization: 'x', 'Idempotency-Key': `${n}` }
      for (;;) {
        const told = await fetch(`${url}/service/storm-${caller}`, { method: 'PUT', body, headers })
          .then(async (response) => ({ status: response.status, body: await response.json() }))
          .catch(() => undefined)
        if (told?.status === 200) {
          accepted.set(`${n}`, JSON.stringify(told.body))
          break
        }
        if (told !== undefined && told.status < 500) {
          throw new Error(`deployment ${n}: ${JSON.stringify(told)}`)
        }
        retries += 1
        await pause(100)
      }
    }
  }

  let deployer: LabDeployer = await startLabDeployer(lab.engine, env)
  const endBadness = beBadTo(beanstalkd)
  const calling = Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)))
  for (let kill = 1; kill <= DEPLOYER_KILLS; kill += 1) {
    const until = (DEPLOYMENTS * (kill - Math.random() / 2)) / (DEPLOYER_KILLS + 1)
    await waitFor(`${until} deployments`, async () => accepted.size > until, { timeoutMs: 240_000 })
    await deployer.kill()
    deployer = await startLabDeployer(lab.engine, env)
  }
  await calling
  const beanstalkdKills = await endBadness()

  const messages: Message[] = []
  const isComplete = (): boolean => {
    const has = (wanted: (event: string) => boolean): Set<string> =>
      new Set(messages.filter(({ event }) => wanted(event)).map(({ n }) => n))
    const begun = has((event) => event === 'accepted')
    const ended = has((event) => event !== 'accepted')
    return [...accepted.keys()].every((n) => begun.has(n) && ended.has(n))
  }
  while (!isComplete()) {
    messages.push(JSON.parse((await beanstalkd.reserve(TUBE, 30)).body.toString()))
  }
  // What is told twice may come later.
  await waitFor('the spool to be empty', async () => (await spooled(env.SPOOL_DIR)) === 0)
  while ((await beanstalkd.countJobs(TUBE)) > 0) {
    messages.push(JSON.parse((await beanstalkd.reserve(TUBE)).body.toString()))
  }
  await deployer.kill()

  const ids = new Set(messages.map(({ id }) => id))
  console.log(
    `${accepted.size} deployments accepted after ${retries} requests without an answer; ` +
      `beanstalkd was killed ${beanstalkdKills} times, Deployer ${DEPLOYER_KILLS} times; ` +
      `${messages.length} messages, of which ${messages.length - ids.size} are doubles`,
  )
  expect(accepted.size).toBe(DEPLOYMENTS)
  expect(beanstalkdKills).toBeGreaterThan(5)
  // The end of a deployment is one: it never has two verdicts.
  const ends = new Map<string, Set<string>>()
  for (const { id, event } of messages) {
    const deployment = id.split('_')[1] ?? ''
    const verdicts = ends.get(deployment) ?? new Set()
    ends.set(deployment, event === 'accepted' ? verdicts : verdicts.add(event))
  }
  expect([...ends.values()].filter(({ size }) => size > 1)).toEqual([])
  expect([...ends.values()].filter(({ size }) => size === 0)).toEqual([])
}, 420_000)

async function spooled(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true })
  return names.filter((name) => name.endsWith('.json')).length
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
