// A swarm in memory that answers as the engine does: lookup by ID, name, then ID prefix; a version
// index that must match; rollouts that a test steers, or that take a course of their own.

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
import { createFakeRollout, type FakeRollout, type FakeStage } from './fake-rollout.ts'
import { createFakeServices, type FakeService, type FakeServiceOptions } from './fake-services.ts'
import { createFakeTasks } from './fake-tasks.ts'
import { createFakeUpdater, type FakeRolloutScript } from './fake-update.ts'

/** The fake, and what a test may ask and do. */
export interface FakeSwarm extends Swarm {
  /** Each call in order, such as `inspect blog`, `update blog`, `resolve docker.io/me/app:v2`. */
  readonly calls: readonly string[]
  /** One for each `resolve` and `update`. */
  readonly credentials: readonly ShownCredentials[]
  /** What tests said of images, by canonical reference; every other one is there as well. */
  readonly images: ReadonlyMap<string, ResolvedImage | Error>
  /** What tasks wrote, by task ID, and `default` for all others. */
  readonly logs: Map<string, string>
  /** How many event streams are open. */
  readonly streams: number
  /** The swarm's nodes; at first one, `node1`. */
  nodes: readonly Node[]
  /** The engine's clock. */
  clock: () => number
  /** The course of each rollout, right after its write. Default: `complete`. */
  onUpdate: FakeRolloutScript
  /** Runs before each update is looked at. */
  beforeUpdate: () => void
  /** Runs after each update was written, and before the caller hears of it. */
  afterUpdate: () => void
  /** When set, every call rejects with it. */
  failure: unknown
  /** Adds a service whose tasks have been running for an hour. */
  addService(name: string, options?: FakeServiceOptions): FakeService
  /** Says what the registry has, or the error that asking for it ends with. */
  setImage(reference: string, image: FakeImage): void
  /** The service as it is now. */
  service(name: string): FakeService
  /** The spec that the service has now. */
  spec(name: string): ServiceSpec
  /** The service's tasks, oldest first. */
  tasks(name: string): readonly Task[]
  /** Steers the service's rollout; with `onUpdate` set to `none`, nothing else does. */
  rollout(name: string): FakeRollout
  /** Writes a spec from outside, as another user would. */
  change(name: string, change: (spec: ServiceSpec) => ServiceSpec): void
  /** Removes a service from outside, its tasks too. */
  remove(name: string): void
  /** Ends all event streams; what they did not yet tell is lost. */
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
  const stage: FakeStage = { services, tasks, now, nodes, begun: new Map() }
  const write = createFakeUpdater(stage)

  function ask(call: string): void {
    calls.push(call)
    fail()
  }

  function fail(): void {
    if (fake.failure !== undefined) {
      throw fake.failure
    }
  }

  function show(call: string, { registryAuth }: RegistryCredentials): void {
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
        stage.begun.set(service.ID, '')
      }
      return service
    },

    setImage: registry.setImage,
    service: (name) => services.find(name),
    spec: (name) => services.find(name).Spec,
    tasks: (name) => tasks.of(services.find(name)),
    rollout: (name) => createFakeRollout(services.find(name).ID, stage),
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
      ask(`inspect ${nameOrId}`)
      return structuredClone(services.find(nameOrId))
    },

    async updateService(service, spec, shown = {}): Promise<UpdateOutcome> {
      const call = `update ${service.Spec.Name}`
      calls.push(call)
      show(call, shown)
      fake.beforeUpdate()
      fail()
      const current = services.find(service.ID)
      if (current.Version.Index !== service.Version.Index) {
        return 'out-of-sequence'
      }
      write(current, spec, fake.onUpdate)
      fake.afterUpdate()
      return 'updated'
    },

    async resolveImage(reference, shown = {}) {
      show(`resolve ${reference}`, shown)
      ask(`resolve ${reference}`)
      return structuredClone(registry.resolve(reference))
    },

    async listServices(label) {
      ask(`list ${label}`)
      return structuredClone(services.labelled(label))
    },

    async listTasks(serviceId) {
      ask(`tasks ${serviceId}`)
      return structuredClone(services.has(serviceId) ? tasks.of(services.find(serviceId)) : [])
    },

    async listNodes() {
      ask('nodes')
      return structuredClone(fake.nodes)
    },

    async readTaskLog(taskId, lines) {
      ask(`log ${taskId}`)
      const log = logs.get(taskId) ?? logs.get('default') ?? ''
      return log.replace(/\n$/, '').split('\n').slice(-lines).join('\n')
    },

    async watchServices(listener, options) {
      ask('watch')
      await events.watch(listener, options)
    },

    now: () => fake.clock(),
  }
  return fake
}
