// A swarm in memory that answers as the engine does: lookup by ID, name, then ID prefix; a version
// index that must match.

import type { Service, ServiceSpec, Swarm, UpdateOutcome } from '../../src/ports.ts'
import { DeployerError } from '../../src/problem.ts'

/** A service to put into the fake, by what tests care about. */
export interface FakeServiceOptions {
  readonly image?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly id?: string
  /** Anything else in the spec. */
  readonly spec?: Readonly<Record<string, unknown>>
}

/** The fake, and what a test may ask and do. */
export interface FakeSwarm extends Swarm {
  /** Each call in order, such as `inspect blog` and `update blog`. */
  readonly calls: readonly string[]
  addService(name: string, options?: FakeServiceOptions): Service
  /** The spec that the service has now. */
  spec(name: string): ServiceSpec
  /** Writes a spec from outside, as another user would. */
  change(name: string, change: (spec: ServiceSpec) => ServiceSpec): void
  /** Runs before each update is looked at. */
  beforeUpdate: () => void
  /** Runs after each update was written, and before the caller hears of it. */
  afterUpdate: () => void
  /** When set, every call rejects with it. */
  failure: unknown
}

export function createFakeSwarm(): FakeSwarm {
  const services = new Map<string, Service>()
  const calls: string[] = []

  function find(nameOrId: string): Service {
    const all = [...services.values()]
    const service =
      services.get(nameOrId) ??
      all.find(({ Spec }) => Spec.Name === nameOrId) ??
      all.find(({ ID }) => ID.startsWith(nameOrId))
    if (service === undefined) {
      throw new DeployerError('service-not-found', `Cannot find service "${nameOrId}"`)
    }
    return service
  }

  function write({ ID, Version }: Service, Spec: ServiceSpec): void {
    services.set(ID, { ID, Version: { Index: Version.Index + 1 }, Spec })
  }

  const fake: FakeSwarm = {
    calls,
    beforeUpdate() {},
    afterUpdate() {},
    failure: undefined,

    addService(name, options = {}) {
      const { image = 'me/app:v1', labels = { 'deployer.allowUpdates': 'true' }, spec } = options
      const id =
        options.id ?? `${name.replace(/[^a-z0-9]/g, '')}0000000000000000000000000`.slice(0, 25)
      const Spec = { Name: name, Labels: labels, TaskTemplate: { ContainerSpec: { Image: image } } }
      const service = { ID: id, Version: { Index: 10 }, Spec: { ...Spec, ...spec } }
      services.set(id, service)
      return service
    },

    spec: (name) => find(name).Spec,
    change: (name, change) => write(find(name), change(find(name).Spec)),

    async inspectService(nameOrId) {
      calls.push(`inspect ${nameOrId}`)
      if (fake.failure !== undefined) {
        throw fake.failure
      }
      return structuredClone(find(nameOrId))
    },

    async updateService(service, spec): Promise<UpdateOutcome> {
      calls.push(`update ${service.Spec.Name}`)
      fake.beforeUpdate()
      if (fake.failure !== undefined) {
        throw fake.failure
      }
      const current = find(service.ID)
      if (current.Version.Index !== service.Version.Index) {
        return 'out-of-sequence'
      }
      write(current, structuredClone(spec))
      fake.afterUpdate()
      return 'updated'
    },
  }
  return fake
}
