// The services of the fake swarm: each change increments the version index and emits an event.

import { DeployerError } from '../../src/errors.ts'
import type { ServiceMode, UpdateStatus, VersionIndex } from '../../src/swarm/engine-types.ts'
import type { Service, ServiceSpec } from '../../src/swarm/service.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { idOf, isJob } from './fake-placement.ts'

/** Properties of a fake service. */
export interface FakeServiceOptions {
  readonly image?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly id?: string
  /** Default: replicated. */
  readonly mode?: ServiceMode
  /** Number of tasks; ignored if there is a `mode`. Default: 1. */
  readonly replicas?: number
  readonly updateStatus?: UpdateStatus
  readonly previousSpec?: ServiceSpec
  /** Other members of the spec. */
  readonly spec?: Readonly<Record<string, unknown>>
}

/** A service with the engine's times, in RFC 3339 format. */
export interface FakeService extends Service {
  readonly CreatedAt: string
  readonly UpdatedAt: string
}

export interface FakeServices {
  /** By the engine's filter: `key=value`, or `key` for any value. */
  labelled(label: string): readonly FakeService[]
  /** By full ID, then exact name, then a prefix of the ID. */
  find(nameOrId: string): FakeService
  has(id: string): boolean
  add(name: string, options: FakeServiceOptions): FakeService
  /** Stores a changed service. */
  put(service: FakeService): FakeService
  /** Applies a spec as a client does: the engine clears the status of the previous update. */
  write(service: FakeService, spec: ServiceSpec): FakeService
  remove(service: FakeService): void
}

const FIRST_VERSION = 10

/**
 * @param now The engine's clock.
 * @param emit Receives an event for each change.
 */
export function createFakeServices(
  now: () => number,
  emit: (event: ServiceEvent) => void,
): FakeServices {
  const services = new Map<string, FakeService>()
  const time = (): string => new Date(now()).toISOString()

  function put(service: FakeService): FakeService {
    const before = services.get(service.ID) ?? service
    const Version = { Index: before.Version.Index + 1 }
    const after = { ...service, Version, UpdatedAt: time() }
    services.set(after.ID, after)
    emit({ serviceId: after.ID, action: 'update', ...difference(before, after), timeMs: now() })
    return after
  }

  return {
    labelled: (label) =>
      [...services.values()].filter(({ Spec }) =>
        Object.entries(Spec.Labels ?? {}).some(
          ([key, value]) => label === key || label === `${key}=${value}`,
        ),
      ),
    has: (id) => services.has(id),
    put,

    find(nameOrId) {
      const all = [...services.values()]
      const [byPrefix, ...others] = all.filter(({ ID }) => ID.startsWith(nameOrId))
      const service =
        services.get(nameOrId) ?? all.find(({ Spec }) => Spec.Name === nameOrId) ?? byPrefix
      if (service === undefined) {
        throw new DeployerError('service-not-found', `Cannot find service "${nameOrId}"`)
      }
      if (service === byPrefix && service.ID !== nameOrId && others.length > 0) {
        const count = `${others.length + 1} matches found`
        throw new DeployerError('engine-error', `service ${nameOrId} is ambiguous (${count})`)
      }
      return service
    },

    add(name, options) {
      const { id = idOf(name), updateStatus, previousSpec } = options
      const [Spec, at] = [specOf(name, options), time()]
      const service = {
        ID: id,
        Version: { Index: FIRST_VERSION },
        CreatedAt: at,
        UpdatedAt: at,
        Spec,
        ...(previousSpec && { PreviousSpec: previousSpec }),
        ...(updateStatus && { UpdateStatus: updateStatus }),
        ...(isJob(Spec) && { JobStatus: { JobIteration: iteration(0) } }),
      }
      services.set(id, service)
      emit({ serviceId: id, action: 'create', timeMs: now() })
      return service
    },

    write({ UpdateStatus, JobStatus, ...service }, Spec) {
      const run = iteration((JobStatus?.JobIteration.Index ?? 0) + 1)
      return put({
        ...service,
        Spec,
        PreviousSpec: service.Spec,
        ...(JobStatus && { JobStatus: { JobIteration: run } }),
      })
    },

    remove({ ID }) {
      services.delete(ID)
      emit({ serviceId: ID, action: 'remove', timeMs: now() })
    },
  }
}

function specOf(name: string, options: FakeServiceOptions): ServiceSpec {
  const {
    image = 'me/app:v1',
    labels = { 'deployer.allowUpdates': 'true' },
    replicas = 1,
  } = options
  const Spec = {
    Name: name,
    Labels: labels,
    TaskTemplate: { ContainerSpec: { Image: image } },
    Mode: options.mode ?? { Replicated: { Replicas: replicas } },
  }
  return { ...Spec, ...options.spec }
}

function difference(before: Service, after: Service): Pick<ServiceEvent, 'image' | 'updateState'> {
  const [was, image] = [before, after].map(({ Spec }) => Spec.TaskTemplate.ContainerSpec?.Image)
  const updateState = after.UpdateStatus?.State
  return {
    ...(updateState !== undefined && updateState !== before.UpdateStatus?.State && { updateState }),
    ...(image !== undefined && image !== was && { image }),
  }
}

/** The engine omits an index of 0. */
function iteration(index: number): VersionIndex {
  return (index === 0 ? {} : { Index: index }) as VersionIndex
}
