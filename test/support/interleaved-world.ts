// Two Deployers, another client, and the engine, whose steps a test interleaves: one service on a fake
// swarm, one store of histories, and a spool for each Deployer. Nothing in it depends on the time of day.

import { createHash } from 'node:crypto'
import { vi } from 'vitest'
import { endVerdicts } from '../../src/deployment/verdict.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'
import { createFakeHistoryStore } from './fake-history-store.ts'
import { createFakeSpool } from './fake-spool.ts'
import { createFakeSwarm } from './fake-swarm.ts'
import { isOtherTemplate } from './fake-task-status.ts'
import { createKillableDeployer, type KillableDeployer, type Stop } from './killable-deployer.ts'
import { createRolloutTruth, type RolloutTruth } from './rollout-truth.ts'

/** What the engine does next with the rollout, where that is possible. */
export const engineSteps = [
  'run-one',
  'complete',
  'fail',
  'fail-and-complete',
  'pause',
  'begin-roll-back',
  'complete-roll-back',
  'pause-roll-back',
  'fail-later',
] as const
/** What another client does. */
export const clientSteps = ['image', 'label', 'stack-deploy', 'force', 'roll-back'] as const

/** A step of the world. `process` is 0 or 1; `nth` counts from the newest. */
export type Step =
  | {
      readonly do: 'put'
      readonly process: number
      readonly image: number
      readonly force: boolean
    }
  | { readonly do: 'put-again'; readonly process: number; readonly nth: number }
  | { readonly do: 'look'; readonly process: number; readonly nth: number }
  | { readonly do: 'hold'; readonly process: number; readonly at: Stop }
  | {
      readonly do: 'release' | 'lose-answer' | 'kill' | 'start' | 'restart'
      readonly process: number
    }
  | { readonly do: 'engine'; readonly step: (typeof engineSteps)[number] }
  | { readonly do: 'client'; readonly step: (typeof clientSteps)[number]; readonly image: number }
  | { readonly do: 'lose-events' | 'hour' }
  | { readonly do: 'pass'; readonly ms: number }

/** A verdict that somebody saw. */
export interface SeenVerdict {
  readonly verdict: string
  /** Such as `a answered`, `b told`. */
  readonly by: string
  /** By the engine's clock. */
  readonly atMs: number
}

/** An event that a notifier received. */
export interface SeenEvent {
  readonly id: string
  readonly event: string
  readonly startedAt: string
}

/** The world, and what was seen in it. */
export interface InterleavedWorld {
  readonly truth: RolloutTruth
  readonly rolloutTimeoutMs: number
  /** By the time of the write. */
  readonly verdicts: ReadonlyMap<string, readonly SeenVerdict[]>
  readonly events: readonly SeenEvent[]
  /** By the fingerprint of an idempotency key: when its writes were sent. */
  readonly keys: ReadonlyMap<string, readonly string[]>
  /**
   * The writes that, or whose end, a process had not noted in the history when it was killed, or when the
   * other one came to another verdict.
   */
  readonly unnoted: ReadonlySet<string>
  /** Answers other than 503 that have a status from 500 on. */
  readonly errors: readonly string[]
  take(step: Step): Promise<void>
  /** Everything ends: all processes run, the rollout ends, and each deployment is looked at. */
  settle(): Promise<void>
  /** Both processes are started anew an hour later, and each deployment is looked at. */
  lookLate(): Promise<void>
  end(): void
}

interface Request {
  readonly key: string
  readonly body: string
}

const NAME = 'web'
const TOKEN = 'SOME_TOKEN'
const TIMEOUT_MS = 120_000
const HOUR_MS = 3_600_000
const SLICE_MS = 250
// No two steps of an engine happen at the same time.
const STEP_MS = 10
/** A process writes the history of a service at most once in 5 s; a slice more is lost here. */
export const NOTED_AFTER_MS = 6000
const ALLOWED = { 'deployer.allowUpdates': 'true' }
const NAMES = ['a', 'b']

/** Makes hashes and random numbers deterministic, and all time fake. Undone by {@link restoreTime}. */
export function fakeTime(): void {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    now: Date.UTC(2026, 10, 24),
  })
  let made = 0
  vi.spyOn(crypto, 'randomUUID').mockImplementation(() => {
    made += 1
    return `00000000-0000-4000-8000-${`${made}`.padStart(12, '0')}`
  })
  // A hash of the platform is computed in another thread, and arrives when it likes.
  vi.spyOn(crypto.subtle, 'digest').mockImplementation(async (_, data) => {
    const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer) : new Uint8Array(data)
    return Uint8Array.from(createHash('sha256').update(bytes).digest()).buffer
  })
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
}

export function restoreTime(): void {
  vi.restoreAllMocks()
  vi.useRealTimers()
}

/**
 * Creates a world in which both processes run.
 *
 * @param history The mode of the history.
 * @returns The world.
 */
export function createInterleavedWorld(history: 'config' | 'label'): InterleavedWorld {
  const swarm = createFakeSwarm()
  const store = createFakeHistoryStore()
  const truth = createRolloutTruth(swarm, NAME)
  const spools = NAMES.map(() => new Map<string, string>())
  const processes: (KillableDeployer | undefined)[] = []
  const requests: Request[] = []
  const locations: string[] = []
  const verdicts = new Map<string, SeenVerdict[]>()
  const events: SeenEvent[] = []
  const keys = new Map<string, string[]>()
  const unnoted = new Set<string>()
  /** By process: when its writes were sent, by the time that passes for timers. */
  const sent = NAMES.map(() => new Map<string, number>())
  /** The processes that are held at a call of the history. */
  const isStuck = new Set<number>()
  const errors: string[] = []
  let phase: 'idle' | 'updating' | 'rolling-back' = 'idle'
  let ticks = 0

  swarm.clock = () => Date.now() + ticks
  swarm.onUpdate = (rollout) => rollout.begin()
  swarm.addService(NAME, { replicas: 2, labels: ALLOWED })

  function start(at: number): void {
    const name = NAMES[at] ?? ''
    processes[at] = createKillableDeployer({
      ...{ swarm, token: TOKEN, spool: createFakeSpool(spools[at]) },
      // Two processes never send two writes in the same millisecond.
      now: () => 2 * Math.floor(swarm.clock() / 2) + at,
      historyStore: store.handle(),
      options: { rolloutTimeoutMs: TIMEOUT_MS, history },
      written(startedAt, key) {
        ticks += STEP_MS
        phase = 'updating'
        truth.written(startedAt, name)
        sent[at]?.set(startedAt, Date.now())
        if (key !== '') keys.set(key, [...(keys.get(key) ?? []), startedAt])
      },
      notified({ id, event, startedAt, deploymentId }) {
        if (event === 'refused') return
        if (!isUnwritten(deploymentId)) events.push({ id, event, startedAt })
        see(deploymentId, { startedAt, verdict: event, by: `${name} told` })
      },
    })
  }

  function see(
    id: string,
    { startedAt, verdict, by }: Omit<SeenVerdict, 'atMs'> & { readonly startedAt: string },
  ): void {
    const location = `/deployments/${encodeURIComponent(id)}`
    const isWritten = truth.writes.some((write) => write.startedAt === startedAt)
    if (!isWritten || isUnwritten(id)) return
    if (!locations.includes(location)) locations.push(location)
    if (endVerdicts.some((one) => one === verdict)) {
      const atMs = swarm.clock()
      const [first] = verdicts.get(startedAt) ?? []
      if (first === undefined) sent[NAMES.indexOf(by[0] ?? '')]?.set(startedAt, Date.now())
      const isOther = first !== undefined && first.verdict !== verdict && first.by[0] !== by[0]
      if (isOther && atMs - first.atMs < NOTED_AFTER_MS) unnoted.add(startedAt)
      verdicts.set(startedAt, [...(verdicts.get(startedAt) ?? []), { verdict, by, atMs }])
    }
  }

  async function send(at: number, path: string, init: RequestInit = {}): Promise<void> {
    const app = processes[at]?.app
    if (app === undefined) return
    const headers = { Authorization: TOKEN, ...init.headers }
    const answered = Promise.resolve(
      app.fetch(new Request(`http://deployer${path}`, { ...init, headers })),
    ).then(async (response) => {
      const text = await response.text()
      const { deploymentId, startedAt, verdict } = JSON.parse(text)
      if (response.status >= 500 && response.status !== 503) errors.push(text)
      if (deploymentId !== undefined) {
        see(deploymentId, { startedAt, verdict, by: `${NAMES[at]} answered` })
      }
    })
    answered.catch((error) => errors.push(`${error}`))
    await drain()
  }

  function put(at: number, request: Request | undefined): Promise<void> {
    return request === undefined
      ? Promise.resolve()
      : send(at, `/service/${NAME}`, {
          method: 'PUT',
          body: request.body,
          headers: { 'Idempotency-Key': request.key },
        })
  }

  async function look(at: number, location: string | undefined): Promise<void> {
    if (location !== undefined) await send(at, location)
  }

  function newRequest(image: number, force: boolean): Request {
    const body = JSON.stringify({ image: `me/app:v${image}`, force })
    requests.push({ key: `${requests.length}`, body })
    return requests[requests.length - 1] ?? { key: '', body }
  }

  function kill(at: number): void {
    for (const [startedAt, sentAt] of sent[at] ?? []) {
      if (isStuck.has(at) || Date.now() - sentAt < NOTED_AFTER_MS) unnoted.add(startedAt)
    }
    sent[at]?.clear()
    isStuck.delete(at)
    processes[at]?.kill()
    processes[at] = undefined
  }

  /** The steps that are possible now do something. */
  function runEngine(step: (typeof engineSteps)[number]): void {
    const rollout = swarm.rollout(NAME)
    const { UpdateStatus, PreviousSpec, Spec } = swarm.service(NAME)
    const hasStatus = UpdateStatus !== undefined
    const isUpdating = phase === 'updating'
    const isRollingBack = phase === 'rolling-back'
    if (step === 'run-one' && phase !== 'idle') rollout.run(1)
    if (step === 'fail' && isUpdating) {
      rollout.fail({ place: 1 })
      truth.happened('a task failed')
    }
    if (step === 'fail-later' && phase === 'idle' && truth.writes.length > 0) {
      rollout.fail({ place: 2 })
      truth.happened('a task failed')
    }
    if (step === 'complete' && isUpdating) {
      phase = 'idle'
      rollout.complete()
      if (hasStatus) truth.happened('completed')
    }
    if (step === 'fail-and-complete' && isUpdating && hasStatus) {
      phase = 'idle'
      rollout.failAndComplete()
      truth.happened('completed with failures')
    }
    if (step === 'pause' && isUpdating && hasStatus) {
      phase = 'idle'
      rollout.pause()
      truth.happened('paused')
    }
    const canRollBack =
      PreviousSpec && isOtherTemplate(Spec.TaskTemplate, PreviousSpec.TaskTemplate)
    if (step === 'begin-roll-back' && isUpdating && hasStatus && canRollBack) {
      phase = 'rolling-back'
      rollout.beginRollBack()
      truth.happened('rollback started')
    }
    if (step === 'complete-roll-back' && isRollingBack) {
      phase = 'idle'
      rollout.completeRollBack()
      truth.happened('rolled back')
    }
    if (step === 'pause-roll-back' && isRollingBack && hasStatus) {
      phase = 'idle'
      rollout.pauseRollBack()
      truth.happened('rollback paused')
    }
  }

  function runClient(step: (typeof clientSteps)[number], image: number): void {
    const { Spec, PreviousSpec } = swarm.service(NAME)
    if (step === 'roll-back') {
      if (PreviousSpec && isOtherTemplate(Spec.TaskTemplate, PreviousSpec.TaskTemplate)) {
        phase = 'rolling-back'
        swarm.rollout(NAME).rollBackByHand()
        truth.replaced('rolled back by hand')
      }
      return
    }
    const next = CLIENT_CHANGES[step](Spec, `me/app:v${image}`)
    swarm.change(NAME, () => next)
    if (isOtherTemplate(Spec.TaskTemplate, next.TaskTemplate)) {
      phase = 'updating'
      truth.replaced('replaced by another client')
    } else {
      truth.happened('another client cleared the status')
    }
  }

  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= SLICE_MS) {
      vi.advanceTimersByTime(Math.min(SLICE_MS, left))
      await drain()
    }
  }

  async function lookAtAll(): Promise<void> {
    for (const location of [...locations]) {
      for (const at of [0, 1]) await send(at, location)
    }
    await pass(2000)
  }

  async function restartAll(): Promise<void> {
    for (const at of [0, 1]) kill(at)
    for (const at of [0, 1]) start(at)
    await pass(1000)
  }

  async function take(step: Step): Promise<void> {
    switch (step.do) {
      case 'put':
        return put(step.process, newRequest(step.image, step.force))
      case 'put-again':
        return put(step.process, requests.at(-1 - step.nth))
      case 'look':
        return look(step.process, locations.at(-1 - step.nth))
      case 'hold':
        if (['read', 'write', 'noted'].includes(step.at)) isStuck.add(step.process)
        return processes[step.process]?.holdAt(step.at)
      case 'release':
        processes[step.process]?.release()
        break
      case 'lose-answer':
        return processes[step.process]?.loseAnswer()
      case 'kill':
        kill(step.process)
        break
      case 'start':
        if (processes[step.process] === undefined) start(step.process)
        break
      case 'restart':
        processes[step.process]?.end()
        await drain()
        kill(step.process)
        start(step.process)
        break
      case 'engine':
        runEngine(step.step)
        break
      case 'client':
        runClient(step.step, step.image)
        break
      case 'lose-events':
        swarm.breakStreams()
        break
      case 'hour':
        for (const at of [0, 1]) kill(at)
        vi.setSystemTime(Date.now() + HOUR_MS)
        for (const at of [0, 1]) start(at)
        break
      case 'pass':
        return pass(step.ms)
    }
    await drain()
  }

  for (const at of [0, 1]) start(at)

  return {
    ...{ truth, rolloutTimeoutMs: TIMEOUT_MS, verdicts, events, keys, unnoted, errors },

    async take(step) {
      ticks += STEP_MS
      await take(step)
      truth.observe()
    },

    async settle() {
      for (const at of [0, 1]) {
        processes[at]?.release()
        if (processes[at] === undefined) start(at)
      }
      await pass(1000)
      runEngine(phase === 'rolling-back' ? 'complete-roll-back' : 'complete')
      truth.observe()
      await pass(TIMEOUT_MS)
      await lookAtAll()
    },

    async lookLate() {
      await restartAll()
      await pass(12_000)
      await take({ do: 'hour' })
      await pass(1000)
      await lookAtAll()
    },

    end() {
      for (const at of [0, 1]) kill(at)
      vi.clearAllTimers()
    },
  }
}

const CLIENT_CHANGES: Readonly<
  Record<
    Exclude<(typeof clientSteps)[number], 'roll-back'>,
    (spec: ServiceSpec, image: string) => ServiceSpec
  >
> = {
  image: (spec, image) => withImage(spec, image),
  label: (spec) => ({ ...spec, Labels: { ...spec.Labels, 'com.example.by': 'ansible' } }),
  'stack-deploy': (spec, image) => ({ ...withImage(spec, image), Labels: ALLOWED }),
  force: (spec) => ({
    ...spec,
    TaskTemplate: {
      ...spec.TaskTemplate,
      ForceUpdate: Number(spec.TaskTemplate.ForceUpdate ?? 0) + 1,
    },
  }),
}

function withImage(spec: ServiceSpec, Image: string): ServiceSpec {
  const { TaskTemplate } = spec
  const ContainerSpec = { ...TaskTemplate.ContainerSpec, Image }
  return { ...spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } }
}

/** Requests that wrote nothing have deployments of their own. */
function isUnwritten(id: string): boolean {
  if (/-[uso]$/.test(id)) return true
  const legacy = Buffer.from(id, 'base64url').toString()
  return legacy.startsWith('[') && !legacy.endsWith('""]')
}

/** Lets all go on that can: everything in this world takes microtasks alone, and Hono a few turns. */
async function drain(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}
