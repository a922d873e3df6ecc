// What each case of the behaviour suite starts from: an app on a fake swarm, with recorders.

import { createDeployer } from '../../src/deployer.ts'
import type { DeployerOptions } from '../../src/deployer-options.ts'
import type { DeployerApp } from '../../src/http/schema.ts'
import { createFakeHistoryStore, type FakeHistoryStore } from '../support/fake-history-store.ts'
import { digestOf } from '../support/fake-registry.ts'
import type { FakeRollout } from '../support/fake-rollout.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'
import {
  createRecordingLogger,
  createRecordingNotifier,
  type RecordingLogger,
  type RecordingNotifier,
} from '../support/recording-fakes.ts'

/** A behaviour: its name is a sentence, and `run` rejects when it does not hold. */
export interface Case {
  readonly name: string
  run(): void | Promise<void>
}

/** What to make an app of; what is left out is as for every case. */
export interface HarnessOptions extends Partial<DeployerOptions> {
  readonly swarm?: FakeSwarm
  /** Whether there is a history store, that of the swarm. Default: unless `history` needs none. */
  readonly hasStore?: boolean
}

export interface Harness {
  readonly app: DeployerApp
  readonly swarm: FakeSwarm
  readonly notifier: RecordingNotifier
  readonly logger: RecordingLogger
  /** Sends `PUT /service/<name>` with the token, unless `init` says otherwise. */
  put(name: string, init?: PutOptions): Promise<Answer>
  /** Sends `GET` to a path, such as a `Location`, with the token. */
  get(path: string, init?: GetOptions): Promise<Answer>
  /** Puts and waits for the verdict; gives back when the engine has the write, and steers nothing. */
  begin(name: string, init?: PutOptions): Promise<Begun>
}

export interface GetOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface PutOptions extends GetOptions {
  readonly image?: unknown
  readonly body?: string | ReadableStream<Uint8Array>
  /** Such as `?wait=50`. */
  readonly query?: string
}

/** A deployment that somebody waits for, and the rollout that decides its verdict. */
export interface Begun {
  readonly answer: Promise<Answer>
  readonly rollout: FakeRollout
}

/** A response that was read. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

export const TOKEN = 'SOME_TOKEN'

const allStops = new Set<AbortController>()
let stopsOfCase = (): Set<AbortController> => allStops

/**
 * Keeps the harnesses of cases apart that run at the same time.
 *
 * @param stops Returns the set of the case that asks.
 */
export function separateHarnesses(stops: () => Set<AbortController> | undefined): void {
  stopsOfCase = () => stops() ?? allStops
}

const histories = new WeakMap<FakeSwarm, FakeHistoryStore>()

/** The histories that the configs of a swarm contain. */
export function historyOf(swarm: FakeSwarm): FakeHistoryStore {
  const store = histories.get(swarm) ?? createFakeHistoryStore()
  histories.set(swarm, store)
  return store
}

/** A second harness on the swarm of a first one is another process, or this one after a restart. */
export function createHarness({ signal, hasStore, ...options }: HarnessOptions = {}): Harness {
  const stop = new AbortController()
  stopsOfCase().add(stop)
  const { swarm = promptSwarm() } = options
  const notifier = createRecordingNotifier()
  const logger = createRecordingLogger()
  const { history = 'config' } = options
  const store =
    (hasStore ?? history === 'config') ? { historyStore: historyOf(swarm).handle() } : {}
  const app = createDeployer({
    ...{ token: TOKEN, notifier: notifier.notify, logger, ...store, ...options, swarm },
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  })

  async function put(name: string, init: PutOptions = {}): Promise<Answer> {
    const { image = 'me/app:v2', body = JSON.stringify({ image }), query = '' } = init
    const request = new Request(`http://deployer/service/${name}${query}`, {
      method: 'PUT',
      body,
      headers: { Authorization: TOKEN, ...init.headers },
      ...(init.signal === undefined ? {} : { signal: init.signal }),
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
    })
    return read(await app.fetch(request))
  }

  return {
    ...{ app, swarm, notifier, logger, put },

    async get(path, { headers, signal: own } = {}) {
      const request = new Request(`http://deployer${path}`, {
        headers: { Authorization: TOKEN, ...headers },
        ...(own === undefined ? {} : { signal: own }),
      })
      return read(await app.fetch(request))
    },

    async begin(name, init = {}) {
      swarm.onUpdate = 'none'
      const before = notifier.accepted().length
      const answer = put(name, { query: '?wait=50', ...init })
      await until(() => notifier.accepted().length > before)
      return { answer, rollout: swarm.rollout(name) }
    },
  }
}

/** A swarm whose rollouts complete by themselves, a moment after the engine's answer as they do. */
function promptSwarm(): FakeSwarm {
  const swarm = createFakeSwarm()
  swarm.onUpdate = (rollout) => {
    setTimeout(() => {
      try {
        rollout.complete()
      } catch {
        // The service was removed meanwhile.
      }
    }, 1)
  }
  return swarm
}

/** Ends all that the harnesses so far left behind: streams, watches, timers. */
export function stopHarnesses(): void {
  const stops = stopsOfCase()
  for (const stop of stops) {
    stop.abort()
  }
  stops.clear()
}

export async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : JSON.parse(text),
  }
}

/** Waits until something holds; it fails after 40 seconds. */
export async function until(holds: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + 40_000
  for (let polls = 1; !holds(); polls += 1) {
    if (Date.now() > giveUpAt) {
      throw new Error(`it never came true that ${holds}`)
    }
    // Many cases wait at the same time: only the first polls follow each other immediately.
    await new Promise((resolve) => setTimeout(resolve, polls < 20 ? 0 : 5))
  }
}

/** An image as it is written into a spec. */
export function pinned(image: string): string {
  return `${image}@${digestOf(image)}`
}

/** The digest that an image is pinned to. */
export function digestOfPinned(image: string): string {
  return digestOf(image)
}

/** The image that a service has. */
export function imageOf(swarm: FakeSwarm, name: string): string | undefined {
  return swarm.spec(name).TaskTemplate.ContainerSpec?.Image
}

/** How often the swarm was called so. */
export function countCalls({ calls }: FakeSwarm, start: string): number {
  return calls.filter((call) => call.startsWith(start)).length
}

/** Holds back the answers of the registry for one image, as a slow registry would. */
export function holdResolving(swarm: FakeSwarm, reference: string): () => void {
  const { resolveImage } = swarm
  const [opened, open] = createGate()
  swarm.resolveImage = async (asked, credentials) => {
    if (asked === reference) {
      await opened
    }
    return resolveImage(asked, credentials)
  }
  return open
}

/** Holds back every update until it is let go, as managers do that elect a leader. */
export function holdUpdates(swarm: FakeSwarm): () => void {
  const { updateService } = swarm
  const [opened, open] = createGate()
  swarm.updateService = async (service, spec, credentials) => {
    await opened
    return updateService(service, spec, credentials)
  }
  return open
}

/** Waits until all pending work is done: all that the fake does takes microtasks alone. */
export function pass(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

function createGate(): readonly [opened: Promise<void>, open: () => void] {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return [opened, () => open()]
}
