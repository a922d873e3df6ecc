// Deployer as a process that uses the engine of a lab, called with curl.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type CurlAnswer, curl } from '../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'
import type { EngineClient } from './engine.ts'
import { listTasks } from './services.ts'
import { waitFor } from './wait.ts'

/** The label that allows updates of a service. */
export const ALLOWED: Readonly<Record<string, string>> = { 'deployer.allowUpdates': 'true' }

/** A response of Deployer. The body is the report of a deployment or a problem document. */
export interface DeployerResponse extends CurlAnswer {
  /** Duration of the request. */
  readonly tookMs: number
}

/** An event of a stream. */
export interface StreamEvent {
  readonly event: string
  readonly data: Record<string, unknown>
}

/** A running Deployer. */
export interface LabDeployer {
  readonly process: DeployerProcess
  readonly url: string
  /**
   * Requests a deployment.
   *
   * @param service The service's name, with the query: `web?wait=50`.
   * @param deployment The image, or the whole body.
   * @param args More arguments of curl.
   */
  put(
    service: string,
    deployment: string | object,
    ...args: readonly string[]
  ): Promise<DeployerResponse>
  /** Requests a path, such as a `Location`. */
  get(path: string, ...args: readonly string[]): Promise<DeployerResponse>
  /** Reads the events of a deployment; requests a new one if there is an image. */
  stream(path: string, image?: string): Promise<readonly StreamEvent[]>
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

  async function ask(...args: readonly string[]): Promise<DeployerResponse> {
    const startedAt = performance.now()
    const answer = await curl('-H', 'Authorization: Bearer x', ...args)
    return { ...answer, tookMs: performance.now() - startedAt }
  }

  return {
    ...{ process, url },
    put: (service, deployment, ...args) =>
      ask(...args, '-X', 'PUT', '-d', bodyOf(deployment), `${url}/service/${service}`),
    get: (path, ...args) => ask(...args, `${url}${path}`),
    stream: (path, image) =>
      readEvents(
        ...(image === undefined ? [] : ['-X', 'PUT', '-d', bodyOf(image)]),
        `${url}${path}`,
      ),
    async kill() {
      const ended = process.ended()
      process.kill('SIGKILL')
      await ended
    },
  }
}

function bodyOf(deployment: string | object): string {
  return JSON.stringify(typeof deployment === 'string' ? { image: deployment } : deployment)
}

/** Reads events with one `event:` line and one `data:` line each. */
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

/** A service as the engine returns it, with the members that the tests use. */
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
 * @returns The service, and the response as text.
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
 * Waits until the engine has added the endpoints of a new service, shortly after its creation.
 *
 * @param engine The engine of a manager.
 * @param service Its name.
 * @returns The service as text, which the engine does not change any more.
 */
export function settledBytes(engine: EngineClient, service: string): Promise<string> {
  return waitFor(`service "${service}" to settle`, async () => {
    const { raw } = await inspectService(engine, service)
    return raw.includes('"VirtualIPs"') && raw
  })
}

/**
 * Lists the images of the tasks that run and have the desired state running.
 *
 * @param engine The engine of a manager.
 * @param service The service's name.
 * @returns One image for each task, as in its spec.
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
 * Removes every service of a swarm. Services whose tasks keep failing would slow down the next test file.
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
