// Deployer on the engine of a lab, as its callers meet it: a process, and curl.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type CurlAnswer, curl } from '../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'
import type { EngineClient } from './engine.ts'
import { listTasks } from './services.ts'
import { waitFor } from './wait.ts'

/** The label by which a service's owner allows updates. */
export const ALLOWED: Readonly<Record<string, string>> = { 'deployer.allowUpdates': 'true' }

/** What Deployer answered; the body is the report of a deployment, or a problem document. */
export interface Told extends CurlAnswer {
  /** How long curl took. */
  readonly tookMs: number
}

/** An event of a stream. */
export interface StreamEvent {
  readonly event: string
  readonly data: Record<string, unknown>
}

/** Deployer, running. */
export interface LabDeployer {
  readonly process: DeployerProcess
  readonly url: string
  /**
   * Asks for a deployment.
   *
   * @param service The service's name, and the query if there is one: `web?wait=50`.
   * @param wish The image, or the whole body.
   * @param args More arguments of curl.
   */
  put(service: string, wish: string | object, ...args: readonly string[]): Promise<Told>
  /** Asks at a path, such as a `Location`. */
  get(path: string, ...args: readonly string[]): Promise<Told>
  /** Asks for a deployment, or at a path when there is no wish, and reads events to their end. */
  stream(path: string, wish?: string): Promise<readonly StreamEvent[]>
  /** Ends the process with SIGKILL. */
  kill(): Promise<void>
}

/**
 * Starts a Deployer.
 *
 * @param engine Its engine.
 * @param env More variables.
 * @returns The Deployer, listening.
 */
export async function startLabDeployer(
  engine: Pick<EngineClient, 'dockerHost'>,
  env: Readonly<Record<string, string>> = {},
): Promise<LabDeployer> {
  const process = startDeployer({ env: { TOKEN: 'x', DOCKER_HOST: engine.dockerHost, ...env } })
  const url = await process.url()

  async function ask(...args: readonly string[]): Promise<Told> {
    const startedAt = performance.now()
    const answer = await curl('-H', 'Authorization: Bearer x', ...args)
    return { ...answer, tookMs: performance.now() - startedAt }
  }

  return {
    ...{ process, url },
    put: (service, wish, ...args) =>
      ask(...args, '-X', 'PUT', '-d', bodyOf(wish), `${url}/service/${service}`),
    get: (path, ...args) => ask(...args, `${url}${path}`),
    stream: (path, wish) =>
      readEvents(...(wish === undefined ? [] : ['-X', 'PUT', '-d', bodyOf(wish)]), `${url}${path}`),
    async kill() {
      const ended = process.ended()
      process.kill('SIGKILL')
      await ended
    },
  }
}

function bodyOf(wish: string | object): string {
  return JSON.stringify(typeof wish === 'string' ? { image: wish } : wish)
}

/** As they come: `event:` and `data:` lines, and an empty one after each. */
async function readEvents(...args: readonly string[]): Promise<readonly StreamEvent[]> {
  const flags = ['-s', '-S', '-N', '-f', '-H', 'Authorization: Bearer x']
  const child = execFile('curl', [...flags, '-H', 'Accept: text/event-stream', ...args])
  const exit = once(child, 'close')
  const events: StreamEvent[] = []
  let event = ''
  if (child.stdout === null) throw new Error('curl has no output')
  for await (const line of createInterface({ input: child.stdout })) {
    const [, field, value = ''] = /^(event|data): (.*)$/.exec(line) ?? []
    if (field === 'event') event = value
    if (field === 'data') events.push({ event, data: JSON.parse(value) })
  }
  const [status] = await exit
  if (status !== 0) throw new Error(`curl ended with status ${status}`)
  return events
}

/** A service as the engine shows it, as far as the tests look at it. */
export interface InspectedService {
  readonly Version: { readonly Index: number }
  readonly Spec: {
    readonly Labels: Readonly<Record<string, string>>
    readonly TaskTemplate: {
      readonly ContainerSpec: { readonly Image: string; readonly Env?: readonly string[] }
      readonly ForceUpdate?: number
      readonly Placement?: { readonly Platforms?: readonly object[] }
    }
  }
  readonly PreviousSpec?: object
  readonly UpdateStatus?: {
    readonly State: string
    readonly Message: string
    readonly CompletedAt?: string
  }
}

/**
 * Reads a service.
 *
 * @param engine The engine of a manager.
 * @param service Its name.
 * @returns The service, and the very bytes that tell of it.
 */
export async function inspectService(
  engine: EngineClient,
  service: string,
): Promise<InspectedService & { readonly raw: string }> {
  const { status, text } = await engine.request('GET', `/services/${service}`)
  if (status !== 200) throw new Error(`Could not inspect "${service}": ${text.trim()}`)
  return { ...JSON.parse(text), raw: text }
}

/**
 * Waits until the engine has done its part for a new service: a moment after the create it writes
 * down its end points.
 *
 * @param engine The engine of a manager.
 * @param service Its name.
 * @returns The bytes that tell of the service, which change no more by themselves.
 */
export function settledBytes(engine: EngineClient, service: string): Promise<string> {
  return waitFor(`service "${service}" to settle`, async () => {
    const { raw } = await inspectService(engine, service)
    return raw.includes('"VirtualIPs"') && raw
  })
}

/**
 * The images of the tasks that run and are to go on running.
 *
 * @param engine The engine of a manager.
 * @param service The service's name.
 * @returns An image a task, as the spec spelled it.
 */
export async function runningImages(
  engine: EngineClient,
  service: string,
): Promise<readonly string[]> {
  const tasks = await listTasks(engine, service)
  return tasks
    .filter(({ Status, DesiredState }) => [Status.State, DesiredState].every(isRunning))
    .map(({ Spec }) => Spec.ContainerSpec.Image)
}

/**
 * Removes every service of a swarm, lest those that fail again and again slow down the next file.
 *
 * @param engine The engine of a manager.
 */
export async function removeServices(engine: EngineClient): Promise<void> {
  const ids = await engine.docker('service', 'ls', '--quiet')
  if (ids !== '') await engine.docker('service', 'rm', ...ids.split('\n'))
}

function isRunning(state: string): boolean {
  return state === 'running'
}
