// A swarm whose services are shown to an observer as they are read, so that changes that others made are
// noticed without further calls.

import { unref } from '../async/unref.ts'
import { DeployerError } from '../errors.ts'
import type { Service } from '../swarm/service.ts'
import type { Swarm } from '../swarm/swarm.ts'

/** Sees what is read. Its methods must not throw. */
export interface SwarmObserver {
  /** A service was read. */
  seen(service: Service): void
  /** There is no service with this name or ID. */
  missing(nameOrId: string): void
  /** This process has written a service. */
  written(serviceId: string): void
}

/**
 * Shows an observer what is read of a swarm.
 *
 * @param swarm The swarm.
 * @param observer The observer.
 * @returns The same swarm, observed.
 */
export function observedSwarm(swarm: Swarm, observer: SwarmObserver): Swarm {
  /** The caller may be about to write the service: whatever takes time here lets others write it first. */
  function seeLater(services: readonly Service[]): void {
    const see = (): void => {
      for (const service of services) {
        observer.seen(service)
      }
    }
    unref(setTimeout(see, 0))
  }

  return {
    async inspectService(nameOrId) {
      try {
        const service = await swarm.inspectService(nameOrId)
        seeLater([service])
        return service
      } catch (error) {
        if (error instanceof DeployerError && error.code === 'service-not-found') {
          observer.missing(nameOrId)
        }
        throw error
      }
    },
    async updateService(service, spec, credentials) {
      const outcome = await swarm.updateService(service, spec, credentials)
      if (outcome === 'updated') {
        observer.written(service.ID)
      }
      return outcome
    },
    async listServices(label) {
      const services = await swarm.listServices(label)
      seeLater(services)
      return services
    },
    resolveImage: (reference, credentials) => swarm.resolveImage(reference, credentials),
    listTasks: (serviceId) => swarm.listTasks(serviceId),
    listNodes: () => swarm.listNodes(),
    readTaskLog: (taskId, lines) => swarm.readTaskLog(taskId, lines),
    watchServices: (listener, options) => swarm.watchServices(listener, options),
    now: () => swarm.now(),
  }
}
