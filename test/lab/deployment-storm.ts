// Many deployments at once, sent to two Deployers in turn while a test disturbs them: what the answers and
// the messages say, and whether they contradict each other.

import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { httpLoopback } from '../support/loopback.ts'
import type { EngineClient } from './engine.ts'
import type { SharedLab } from './lab.ts'
import { inspectService, type LabDeployer, startLabDeployer } from './lab-deployer.ts'
import { freePorts } from './ports.ts'
import { waitFor } from './wait.ts'

const CALLERS = 8
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

/** A process that can be killed and started again. */
export interface Restarted {
  readonly url: string
  /** How often it was killed. */
  kills: number
  current: LabDeployer
  restart(): Promise<void>
}

/** Two Deployers, and what they sent. */
export interface StormProcesses {
  readonly processes: readonly Restarted[]
  readonly messages: readonly Message[]
  close(): Promise<void>
}

/** The deployments of a storm. */
export interface StormOptions {
  readonly lab: SharedLab
  readonly processes: StormProcesses
  readonly deployments: number
  /** The names of the services. */
  readonly services: readonly string[]
  /**
   * Disturbs the storm.
   *
   * @param reached Waits until a share of the deployments has ended, from 0 to 1, or all have.
   */
  readonly disturb: (reached: (share: number) => Promise<void>) => Promise<void>
}

/** What a storm showed. Each list is empty where all is well. */
export interface StormResult {
  readonly keys: number
  /** The deployments that were written, and the writes that the services show. */
  readonly written: readonly [deployments: number, writes: number]
  readonly faults: Readonly<Record<string, readonly unknown[]>>
  /** The result as lines of text. */
  readonly text: string
}

/**
 * Starts two Deployers, each with a spool, and a receiver of their messages.
 *
 * @param lab The lab.
 * @param engines The engine of each Deployer.
 * @returns The processes; the caller must call `close`.
 */
export async function startStormProcesses(
  lab: SharedLab,
  engines: readonly EngineClient[],
): Promise<StormProcesses> {
  const directory = await mkdtemp(join(lab.directory, 'two-'))
  const messages: Message[] = []
  const receiver = await httpLoopback((request, response) => {
    let body = ''
    request.on('data', (data) => {
      body += data
    })
    request.on('end', () => {
      messages.push(JSON.parse(body))
      response.end()
    })
  })

  async function start(engine: EngineClient, n: number): Promise<Restarted> {
    const [port = 0] = await freePorts(1)
    const template = Buffer.from(TEMPLATE).toString('base64')
    const env = {
      BIND: `127.0.0.1:${port}`,
      SPOOL_DIR: join(directory, `${n}`),
      NOTIFY_FLAGS: JSON.stringify({
        ...{ type: 'webhook', url: `http://127.0.0.1:${receiver.port}/`, template },
        events: ['accepted', ...ENDS],
      }),
    }
    const restarted: Restarted = {
      url: `http://127.0.0.1:${port}`,
      kills: 0,
      current: await startLabDeployer(engine, env),
      async restart() {
        await restarted.current.kill()
        restarted.kills += 1
        restarted.current = await startLabDeployer(engine, env)
      },
    }
    return restarted
  }

  const processes = await Promise.all(engines.map(start))
  return {
    ...{ processes, messages },
    async close() {
      await Promise.all(processes.map(({ current }) => current.kill()))
      await receiver.close()
    },
  }
}

/**
 * Sends deployments with `force` and a key from eight callers; half of them are sent to both processes at the
 * same time. Asks both for the verdict of each.
 *
 * @param options The deployments, and what disturbs them.
 * @returns What the answers and the messages said.
 */
export async function runStorm({
  lab,
  processes: { processes, messages },
  deployments,
  services,
  disturb,
}: StormOptions): Promise<StormResult> {
  /** Statuses of all answers. */
  const statuses = new Map<number, number>()
  /** By key: the IDs that its answers had. */
  const ids = new Map<number, Set<string>>()
  /** By deployment: what the two processes answered. */
  const verdicts = new Map<string, string[]>()
  let requestsWithoutAnswer = 0
  let longestMs = 0
  let next = 0
  let ended = 0

  // Two callers use a service at the same time.
  const serviceOf = (n: number): string => services[Math.floor(n / 2) % services.length] ?? ''

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

  async function request(n: number, first: number): Promise<Answer> {
    const startedAt = performance.now()
    const answer = await ask(`/service/${serviceOf(n)}`, {
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
    longestMs = Math.max(longestMs, performance.now() - startedAt)
    return answer
  }

  /** Asks one process for the end of a deployment. */
  async function verdictOf(id: string, at: number): Promise<string> {
    const path = `/deployments/${encodeURIComponent(id)}?wait=20`
    for (;;) {
      const { status, body } = await ask(path, { first: at, isFixed: true })
      if (status === 404) return 'not-found'
      const verdict = `${body.verdict ?? body.code}`
      if (verdict !== 'pending') return verdict
    }
  }

  async function call(): Promise<void> {
    for (let n = next++; n < deployments; n = next++) {
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
  await disturb(async (share) => {
    const isReached = (): boolean => ended >= share * deployments
    const limits = { timeoutMs: 400_000 }
    await Promise.race([waitFor(`${share} of the deployments`, isReached, limits), calling])
  })
  await calling
  const writes = await countWrites(services, lab)
  const all = new Set([...ids.values()].flatMap((set) => [...set]))
  await waitFor('the messages of each deployment', () => unfinished(all, messages).length === 0, {
    timeoutMs: 120_000,
    intervalMs: 250,
  }).catch((error) => console.log(error))

  const writtenIds = [...all].filter(isWritten)
  const told = new Map<string, string[]>()
  const messageIds = new Map<string, Set<string>>()
  for (const { id, event, deployment } of messages) {
    if (!isWritten(deployment)) continue
    const key = `${deployment} ${event}`
    messageIds.set(key, (messageIds.get(key) ?? new Set()).add(id))
    if (event !== 'accepted') told.set(deployment, [...(told.get(deployment) ?? []), event])
  }
  const faults = {
    'keys with other than one deployment': [...ids]
      .filter(([, set]) => [...set].filter(isWritten).length > 1)
      .map(([n, set]) => [n, ...set]),
    'deployments with two verdicts': [...verdicts].filter(([, answers]) => contradict(answers)),
    'deployments with two verdicts in messages': [...told].filter(
      ([, events]) => new Set(events).size > 1,
    ),
    'deployments with other verdicts in messages than in answers': [...told].filter(
      ([id, events]) => contradict([...(verdicts.get(id) ?? []), ...events]),
    ),
    'events with two message IDs': [...messageIds]
      .filter(([, set]) => set.size > 1)
      .map(([key, set]) => [key, ...set]),
    'deployments without messages': unfinished(all, messages),
    'statuses of 5xx other than 503': [...statuses].filter(
      ([status]) => status >= 500 && status !== 503 && status !== 504,
    ),
  }
  const lessKnown = [...verdicts].filter(
    ([, answers]) => new Set(answers).size > 1 && !contradict(answers),
  )
  const text = [
    `${ids.size} keys, ${all.size} deployments, of which ${writtenIds.length} written; ` +
      `the engine took ${writes} writes`,
    `Deployers killed ${processes.map(({ kills }) => kills).join(' and ')} times; ` +
      `${requestsWithoutAnswer} requests without an answer or with 503`,
    `the longest time until a deployment was accepted: ${(longestMs / 1000).toFixed(1)} s`,
    `statuses ${JSON.stringify([...statuses])}`,
    `verdicts ${JSON.stringify(countsOf([...verdicts.values()].flat()))}`,
    `${messages.length} messages of ${new Set(messages.map(({ id }) => id)).size} IDs: ` +
      JSON.stringify(countsOf(messages.map(({ event }) => event))),
    `with a verdict at one, and none at the other: ${lessKnown.length} ${show(lessKnown)}`,
    ...Object.entries(faults).map(([name, found]) => `${name}: ${found.length} ${show(found)}`),
  ].join('\n')
  return { keys: ids.size, written: [writtenIds.length, writes], faults, text }
}

/**
 * Prints the result of a storm, and compares it with what must be: one deployment for each key, one verdict
 * for each deployment, and its messages.
 *
 * @param result The result.
 * @param deployments How many there were.
 */
export function expectTruth(result: StormResult, deployments: number): void {
  console.log(result.text)
  const { keys, written, faults } = result
  expect(keys).toBe(deployments)
  expect(written[0]).toBe(written[1])
  expect(
    Object.fromEntries(Object.entries(faults).filter(([, found]) => found.length > 0)),
  ).toEqual({})
}

/** A request that a later one superseded before its write has a deployment of its own in each process. */
function isWritten(id: string): boolean {
  return !/-[uso]$/.test(id)
}

/** Each write increments `ForceUpdate`. */
async function countWrites(names: readonly string[], lab: SharedLab): Promise<number> {
  const services = await Promise.all(names.map((name) => inspectService(lab.engine, name)))
  return services.reduce((sum, { Spec }) => sum + (Spec.TaskTemplate.ForceUpdate ?? 0), 0)
}

/** The deployments of which `accepted` or a verdict has not arrived. */
function unfinished(ids: ReadonlySet<string>, messages: readonly Message[]): readonly string[] {
  const isAccepted = ({ event }: Message): boolean => event === 'accepted'
  const accepted = new Set(messages.filter(isAccepted).map(({ deployment }) => deployment))
  const rest = messages.filter((message) => !isAccepted(message))
  const ended = new Set(rest.map(({ deployment }) => deployment))
  return [...ids].filter((id) => isWritten(id) && !(accepted.has(id) && ended.has(id)))
}

/** `unknown` contradicts nothing. */
function contradict(verdicts: readonly string[]): boolean {
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
