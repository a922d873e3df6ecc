// A swarm in memory that behaves as the engine does: it finds services by ID, name or ID prefix,
// checks the version index, and performs rollouts by a script or by the steps of a test.

import { DeployerError } from '../../src/errors.ts'
import type { Node, Task } from '../../src/swarm/engine-types.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'
import type {
  RegistryCredentials,
  ResolvedImage,
  Swarm,
  UpdateOutcome,
} from '../../src/swarm/swarm.ts'
import { createFakeEvents } from './fake-event-stream.ts'
import { fakeNode, isJob, placesOf } from './fake-placement.ts'
import { createFakeRegistry, type FakeImage, type ShownCredentials } from './fake-registry.ts'
import { createFakeRollout, type FakeRollout, type FakeSwarmState } from './fake-rollout.ts'
import { createFakeServices, type FakeService, type FakeServiceOptions } from './fake-services.ts'
import { createFakeTasks } from './fake-tasks.ts'
import { createFakeUpdater, type FakeRolloutScript } from './fake-update.ts'

/** The fake swarm, with members for tests. */
export interface FakeSwarm extends Swarm {
  /** The calls so far, such as `inspect blog`, `update blog`, `resolve docker.io/me/app:v2`. */
  readonly calls: readonly string[]
  /** The credentials of each `resolve` and `update`. */
  readonly credentials: readonly ShownCredentials[]
  /** The images that tests have set, by canonical reference; all others exist too. */
  readonly images: ReadonlyMap<string, ResolvedImage | Error>
  /** Task logs by task ID, and `default` for all other tasks. */
  readonly logs: Map<string, string>
  /** Number of open event streams. */
  readonly streams: number
  /** The nodes. Default: one, `node1`. */
  nodes: readonly Node[]
  /** The engine's clock. */
  clock: () => number
  /** How each rollout proceeds after the update. Default: `complete`. */
  onUpdate: FakeRolloutScript
  /** Called before each update. */
  beforeUpdate: () => void
  /** Called after each update was applied, before the caller receives the result. */
  afterUpdate: () => void
  /** If set, every call rejects with it. */
  failure: unknown
  /** Adds a service whose tasks have run for an hour. */
  addService(name: string, options?: FakeServiceOptions): FakeService
  /** Sets an image of the registry, or the error that resolving it ends with. */
  setImage(reference: string, image: FakeImage): void
  /** The current service. */
  service(name: string): FakeService
  /** The current spec of the service. */
  spec(name: string): ServiceSpec
  /** The service's tasks, oldest first. */
  tasks(name: string): readonly Task[]
  /** Controls the rollout of the service; set `onUpdate` to `none` before. */
  rollout(name: string): FakeRollout
  /** Updates the spec as another client would. */
  change(name: string, change: (spec: ServiceSpec) => ServiceSpec): void
  /** Removes a service and its tasks as another client would. */
  remove(name: string): void
  /** Ends all event streams; events that were not reported yet are lost. */
  breakStreams(error?: unknown): void
}

const AGE_MS = 3_600_000

export function createFakeSwarm(): FakeSwarm {
  const calls: string[] = []
  const credentials: ShownCredentials[] = []
  const logs = new Map<string, string>()
  let agoMs = 0
  const now = (): number => fake.clock() - agoMs
  const nodes = (): readonly Node[] => fake.nodes
  const registry = createFakeRegistry()
  const events = createFakeEvents()
  const services = createFakeServices(now, events.emit)
  const tasks = createFakeTasks(now, nodes)
  const swarmState: FakeSwarmState = { services, tasks, now, nodes, startedUpdates: new Map() }
  const write = createFakeUpdater(swarmState)

  function record(call: string): void {
    calls.push(call)
    fail()
  }

  function fail(): void {
    if (fake.failure !== undefined) {
      throw fake.failure
    }
  }

  function recordCredentials(call: string, { registryAuth }: RegistryCredentials): void {
    credentials.push({ call, registryAuth })
  }

  const fake: FakeSwarm = {
    calls,
    credentials,
    images: registry.images,
    logs,
    nodes: [fakeNode('node1')],
    clock: () => Date.now(),
    onUpdate: 'complete',
    beforeUpdate() {},
    afterUpdate() {},
    failure: undefined,
    get streams() {
      return events.streams
    },

    addService(name, options = {}) {
      agoMs = AGE_MS
      const service = services.add(name, options)
      for (const place of placesOf(service.Spec, fake.nodes)) {
        const act = isJob(service.Spec) ? tasks.finish : tasks.run
        act(service, place)
      }
      agoMs = 0
      if (service.UpdateStatus) {
        swarmState.startedUpdates.set(service.ID, '')
      }
      return service
    },

    setImage: registry.setImage,
    service: (name) => services.find(name),
    spec: (name) => services.find(name).Spec,
    tasks: (name) => tasks.of(services.find(name)),
    rollout: (name) => createFakeRollout(services.find(name).ID, swarmState),
    change(name, change) {
      const service = services.find(name)
      write(service, change(service.Spec), fake.onUpdate)
    },
    breakStreams: events.breakStreams,

    remove(name) {
      const service = services.find(name)
      tasks.remove(service)
      services.remove(service)
    },

    async inspectService(nameOrId) {
      record(`inspect ${nameOrId}`)
      return structuredClone(services.find(nameOrId))
    },

    async updateService(service, spec, given = {}): Promise<UpdateOutcome> {
      const call = `update ${service.Spec.Name}`
      calls.push(call)
      recordCredentials(call, given)
      fake.beforeUpdate()
      fail()
      if (!services.has(service.ID)) {
        throw new DeployerError(
          'service-not-found',
          `Cannot update: service ${service.ID} not found`,
          {
            notApplied: true,
          },
        )
      }
      const current = services.find(service.ID)
      if (current.Version.Index !== service.Version.Index) {
        return 'out-of-sequence'
      }
      write(current, spec, fake.onUpdate)
      fake.afterUpdate()
      return 'updated'
    },

    async resolveImage(reference, given = {}) {
      recordCredentials(`resolve ${reference}`, given)
      record(`resolve ${reference}`)
      return structuredClone(registry.resolve(reference))
    },

    async listServices(label) {
      record(`list ${label}`)
      return structuredClone(services.labelled(label))
    },

    async listTasks(serviceId) {
      record(`tasks ${serviceId}`)
      return structuredClone(services.has(serviceId) ? tasks.of(services.find(serviceId)) : [])
    },

    async listNodes() {
      record('nodes')
      return structuredClone(fake.nodes)
    },

    async readTaskLog(taskId, lines) {
      record(`log ${taskId}`)
      const log = logs.get(taskId) ?? logs.get('default') ?? ''
      return log.replace(/\n$/, '').split('\n').slice(-lines).join('\n')
    },

    async watchServices(listener, options) {
      record('watch')
      await events.watch(listener, options)
    },

    now: () => fake.clock(),
  }
  return fake
}
