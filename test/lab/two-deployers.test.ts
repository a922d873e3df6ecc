// Two Deployers on one engine: a key is deployed once, and a deployment has one verdict, whichever of them
// is asked, and however often they are killed.

import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { httpLoopback, type Loopback } from '../support/loopback.ts'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  removeServices,
  startLabDeployer,
} from './lab-deployer.ts'
import { freePorts } from './ports.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const DEPLOYMENTS = 500
const CALLERS = 8
const KILLS = 5
const SERVICES = 10
// The others have no task: their rollouts end at once, so that the load is on Deployer.
const SERVICES_WITH_TASK = 2
const ANSWER_WITHIN_MS = 30_000
const ENDS = [
  ...['unchanged', 'converged', 'rolled-back', 'paused', 'failed', 'timed-out'],
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

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** A process that is started again each time it is killed. */
interface Restarted {
  readonly url: string
  kills: number
  current: LabDeployer
  restart(): Promise<void>
}

const lab = sharedLab()
const messages: Message[] = []
/** Statuses of all answers. */
const statuses = new Map<number, number>()
let receiver: Loopback
let directory: string
let processes: readonly Restarted[] = []
let requestsWithoutAnswer = 0

beforeAll(async () => {
  directory = await mkdtemp(join(lab.directory, 'two-'))
  receiver = await httpLoopback((request, response) => {
    let body = ''
    request.on('data', (data) => {
      body += data
    })
    request.on('end', () => {
      messages.push(JSON.parse(body))
      response.end()
    })
  })
  const image = lab.image('lab/app:v1')
  for (let i = 0; i < SERVICES; i += 1) {
    const replicas = i < SERVICES_WITH_TASK ? 1 : 0
    await lab.createService({ name: `two-${i}`, image, labels: ALLOWED, replicas })
  }
  processes = await Promise.all([startProcess('a'), startProcess('b')])
})

afterAll(async () => {
  await Promise.all(processes.map(({ current }) => current.kill()))
  await receiver.close()
  await removeServices(lab.engine)
})

async function startProcess(name: string): Promise<Restarted> {
  const [port = 0] = await freePorts(1)
  const template = Buffer.from(TEMPLATE).toString('base64')
  const env = {
    BIND: `127.0.0.1:${port}`,
    SPOOL_DIR: join(directory, name),
    NOTIFY_FLAGS: JSON.stringify({
      ...{ type: 'webhook', url: `http://127.0.0.1:${receiver.port}/`, template },
      events: ['accepted', ...ENDS],
    }),
  }
  const restarted: Restarted = {
    url: `http://127.0.0.1:${port}`,
    kills: 0,
    current: await startLabDeployer(lab.engine, env),
    async restart() {
      await restarted.current.kill()
      restarted.kills += 1
      restarted.current = await startLabDeployer(lab.engine, env)
    },
  }
  return restarted
}

/** Sends a request to one process, or to one after the other, until there is an answer other than 503. */
async function ask(
  path: string,
  { first, isFixed = false, ...init }: RequestInit & { first: number; isFixed?: boolean },
): Promise<Answer> {
  for (let at = first; ; at += isFixed ? 0 : 1) {
    const process = processes[at % processes.length]
    const answer = await fetch(`${process?.url}${path}`, {
      ...init,
      headers: { Authorization: 'x', ...init.headers },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    })
      .then(async (one) => ({ status: one.status, body: JSON.parse(await one.text()) }))
      .catch(() => undefined)
    if (answer !== undefined) {
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    }
    if (answer !== undefined && answer.status !== 503) return answer
    requestsWithoutAnswer += 1
    await pause(50)
  }
}

/** Requests a deployment. Half of the requests are sent again, to both, before the first is answered. */
function request(n: number, first: number): Promise<Answer> {
  return ask(`/service/${serviceOf(n)}`, {
    method: 'PUT',
    body: JSON.stringify({
      // Requests for the same image that wait in one process get one deployment, whatever their keys.
      image: lab.image(n % 2 === 0 ? 'lab/app:v1' : 'lab/app:v2'),
      force: true,
      metadata: { n: `${n}` },
    }),
    headers: { 'Idempotency-Key': `${n}` },
    first,
  })
}

/** Asks one process for the end of a deployment. */
async function verdictOf(id: string, at: number): Promise<string> {
  const path = `/deployments/${encodeURIComponent(id)}?wait=30`
  for (;;) {
    const { status, body } = await ask(path, { first: at, isFixed: true })
    if (status === 404) return 'not-found'
    const verdict = `${body.verdict ?? body.code}`
    if (verdict !== 'pending') return verdict
  }
}

test('each key has one deployment, and each deployment has one verdict', async () => {
  /** By key: the IDs that its answers had. */
  const ids = new Map<number, Set<string>>()
  /** By deployment: what the two processes answered. */
  const verdicts = new Map<string, string[]>()
  let next = 0
  let ended = 0

  async function call(): Promise<void> {
    for (let n = next++; n < DEPLOYMENTS; n = next++) {
      const repeated = n % 2 === 0 ? [n, n + 1] : [n]
      for (const { body } of await Promise.all(repeated.map((first) => request(n, first)))) {
        const id = `${body.deploymentId ?? `none: ${JSON.stringify(body)}`}`
        ids.set(n, (ids.get(n) ?? new Set()).add(id))
      }
      for (const id of ids.get(n) ?? []) {
        const both = await Promise.all([0, 1].map((at) => verdictOf(id, at)))
        verdicts.set(id, [...(verdicts.get(id) ?? []), ...both])
      }
      ended += 1
    }
  }

  const calling = Promise.all(Array.from({ length: CALLERS }, call))
  const order = Array.from({ length: KILLS * processes.length }, (_, kill) => kill)
  for (const kill of order) {
    const until = (DEPLOYMENTS * (kill + Math.random())) / (order.length + 1)
    await Promise.race([
      waitFor(`${until} deployments`, () => ended > until, { timeoutMs: 400_000 }),
      calling,
    ])
    await processes[kill % processes.length]?.restart()
  }
  await calling
  const written = await countWrites()
  const all = new Set([...ids.values()].flatMap((set) => [...set]))
  await waitFor('the messages of each deployment', () => unfinished(all).length === 0, {
    timeoutMs: 120_000,
    intervalMs: 250,
  }).catch((error) => console.log(error))

  const writtenIds = [...all].filter(isWritten)
  const doubles = [...ids].filter(([, set]) => [...set].filter(isWritten).length > 1)
  const changed = [...verdicts].filter(([, answers]) => isContradiction(answers))
  const lessKnown = [...verdicts].filter(
    ([, answers]) => new Set(answers).size > 1 && !isContradiction(answers),
  )
  const told = new Map<string, string[]>()
  const messageIds = new Map<string, Set<string>>()
  for (const { id, event, deployment } of messages) {
    const key = `${deployment} ${event}`
    if (!isWritten(deployment)) continue
    messageIds.set(key, (messageIds.get(key) ?? new Set()).add(id))
    if (event !== 'accepted') told.set(deployment, [...(told.get(deployment) ?? []), event])
  }
  const toldTwice = [...told].filter(([, events]) => new Set(events).size > 1)
  const otherThanTold = [...told].filter(([id, events]) =>
    isContradiction([...(verdicts.get(id) ?? []), ...events]),
  )
  const twoIds = [...messageIds].filter(([, set]) => set.size > 1)
  console.log(
    [
      `${ids.size} keys, ${all.size} deployments, of which ${writtenIds.length} written; ` +
        `the engine took ${written} writes`,
      `kills ${processes.map(({ kills }) => kills).join(' and ')}; ` +
        `${requestsWithoutAnswer} requests without an answer or with 503`,
      `statuses ${JSON.stringify([...statuses])}`,
      `verdicts ${JSON.stringify(countsOf([...verdicts.values()].flat()))}`,
      `${messages.length} messages of ${new Set(messages.map(({ id }) => id)).size} IDs: ` +
        JSON.stringify(countsOf(messages.map(({ event }) => event))),
      `keys with other than one deployment: ${doubles.length} ${show(doubles.map(([n, set]) => [n, ...set]))}`,
      `deployments with two verdicts: ${changed.length} ${show(changed)}`,
      `with a verdict at one, and none at the other: ${lessKnown.length} ${show(lessKnown)}`,
      `with two verdicts in messages: ${toldTwice.length} ${show(toldTwice)}`,
      `with other verdicts in messages than in answers: ${otherThanTold.length} ${show(otherThanTold)}`,
      `events with two message IDs: ${twoIds.length} ${show(twoIds.map(([key, set]) => [key, ...set]))}`,
      `without messages: ${unfinished(all).length} ${show(unfinished(all))}`,
    ].join('\n'),
  )
  expect(ids.size).toBe(DEPLOYMENTS)
  expect(processes.map(({ kills }) => kills)).toEqual([KILLS, KILLS])
  expect(doubles).toEqual([])
  expect(written).toBe(writtenIds.length)
  expect(changed).toEqual([])
  expect(toldTwice).toEqual([])
  expect(otherThanTold).toEqual([])
  expect(twoIds).toEqual([])
  expect(unfinished(all)).toEqual([])
  expect([...statuses.keys()].filter((status) => status >= 500 && status !== 503)).toEqual([])
}, 900_000)

function serviceOf(n: number): string {
  // Two callers use a service at the same time.
  return `two-${Math.floor(n / 2) % SERVICES}`
}

/** A request that a later one superseded before its write has a deployment of its own in each process. */
function isWritten(id: string): boolean {
  return !/-[uso]$/.test(id)
}

/** Each write increments `ForceUpdate`. */
async function countWrites(): Promise<number> {
  const names = Array.from({ length: SERVICES }, (_, n) => serviceOf(2 * n))
  const services = await Promise.all(names.map((name) => inspectService(lab.engine, name)))
  return services.reduce((sum, { Spec }) => sum + (Spec.TaskTemplate.ForceUpdate ?? 0), 0)
}

/** The deployments of which `accepted` or a verdict has not arrived. */
function unfinished(ids: ReadonlySet<string>): readonly string[] {
  const isAccepted = ({ event }: Message): boolean => event === 'accepted'
  const accepted = new Set(messages.filter(isAccepted).map(({ deployment }) => deployment))
  const rest = messages.filter((message) => !isAccepted(message))
  const ended = new Set(rest.map(({ deployment }) => deployment))
  return [...ids].filter((id) => isWritten(id) && !(accepted.has(id) && ended.has(id)))
}

/** `unknown` contradicts nothing. */
function isContradiction(verdicts: readonly string[]): boolean {
  const known = verdicts.filter((one) => !['unknown', 'verdict-unknown', 'not-found'].includes(one))
  return new Set(known).size > 1
}

function countsOf(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1
  return counts
}

function show(list: readonly unknown[]): string {
  return JSON.stringify(list.slice(0, 5))
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
