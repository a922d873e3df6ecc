// Services of the lab's swarm: creating them, and waiting for their tasks.

import { randomBytes } from 'node:crypto'
import type { EngineClient } from './engine.ts'
import { waitFor } from './wait.ts'

/** Options of {@link createService}. */
export interface ServiceOptions {
  /** The full reference of its image. */
  readonly image: string
  /** Its name. Default: a random one. */
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Default: no flag, which means 1 for replicated services. */
  readonly replicas?: number
  /** More flags of `docker service create`, which override those of the lab. */
  readonly args?: readonly string[]
}

/** A service that was created. */
export interface CreatedService {
  readonly id: string
  readonly name: string
}

/** A task of the Engine API, with the members that the lab uses. */
export interface Task {
  readonly ID: string
  readonly Slot?: number
  readonly DesiredState: string
  readonly Status: { readonly State: string; readonly Err?: string; readonly Message?: string }
  readonly Spec: { readonly ContainerSpec: { readonly Image: string } }
}

/**
 * Creates a service on the host network, with short stop and restart periods.
 *
 * @param engine The engine of a manager.
 * @param options Its image and the rest.
 * @returns Its ID and name; its tasks may not run yet.
 */
export async function createService(
  engine: EngineClient,
  options: ServiceOptions,
): Promise<CreatedService> {
  const { image, labels = {}, replicas, args = [] } = options
  const name = options.name ?? `service-${randomBytes(4).toString('hex')}`
  const labelFlags = Object.entries(labels).map(([key, value]) => `--label=${key}=${value}`)
  const replicaFlags = replicas === undefined ? [] : [`--replicas=${replicas}`]
  // The engine rejects these flags for jobs.
  const isJob = args.some((arg) => /^--mode=\w+-job$/.test(arg))
  const updateFlags = ['--update-delay=0s', '--update-monitor=1s', '--rollback-monitor=1s']
  const id = await engine.docker(
    'service',
    'create',
    '--detach',
    '--quiet',
    `--name=${name}`,
    '--network=host',
    '--stop-grace-period=1s',
    '--restart-delay=1s',
    ...(isJob ? [] : updateFlags),
    ...replicaFlags,
    ...labelFlags,
    ...args,
    image,
  )
  return { id, name }
}

/**
 * Lists the tasks of a service, including old ones.
 *
 * @param engine The engine of a manager.
 * @param service The service's name or ID.
 * @returns The tasks.
 */
export async function listTasks(engine: EngineClient, service: string): Promise<readonly Task[]> {
  const filters = encodeURIComponent(JSON.stringify({ service: { [service]: true } }))
  const { status, text } = await engine.request('GET', `/tasks?filters=${filters}`)
  if (status !== 200) throw new Error(`Could not list the tasks of "${service}": ${text.trim()}`)
  return JSON.parse(text)
}

/**
 * Waits until exactly this number of tasks of a service run, all of them with one image.
 *
 * @param engine The engine of a manager.
 * @param service The service's name or ID.
 * @param expected The image, with or without a digest; the number of tasks (1); the deadline.
 */
export async function waitRunning(
  engine: EngineClient,
  service: string,
  expected: { readonly image: string; readonly replicas?: number; readonly timeoutMs?: number },
): Promise<void> {
  const { image, replicas = 1, timeoutMs = 120_000 } = expected
  await waitFor(
    `${replicas} tasks of "${service}" to run "${image}"`,
    async () => {
      const tasks = await listTasks(engine, service)
      const running = tasks.filter((task) => task.Status.State === 'running')
      return running.length === replicas && running.every((task) => isFrom(task, image))
    },
    {
      timeoutMs,
      intervalMs: 50,
      describe: async () => (await listTasks(engine, service)).map(describeTask).join('\n'),
    },
  )
}

/** The spec has `NAME:TAG@DIGEST` if the client resolved the digest. */
function isFrom(task: Task, image: string): boolean {
  const actual = task.Spec.ContainerSpec.Image
  return actual === image || actual.startsWith(`${image}@`)
}

function describeTask(task: Task): string {
  const { State, Err } = task.Status
  const wanted = `${State}, wanted ${task.DesiredState}`
  return `slot ${task.Slot ?? '-'}: ${task.Spec.ContainerSpec.Image}: ${wanted} ${Err ?? ''}`.trim()
}
