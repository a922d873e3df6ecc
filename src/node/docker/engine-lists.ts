// The engine's lists of services, tasks and nodes.

import { DeployerError } from '../../errors.ts'
import type { Node, Task } from '../../swarm/engine-types.ts'
import type { Service } from '../../swarm/service.ts'
import { engineCallFor } from './engine-call.ts'
import { isNodeList, isServiceList, isTaskList } from './engine-shapes.ts'
import { filterQuery } from './filter-query.ts'
import { parseJsonList } from './json-list.ts'
import type { Modem } from './modem.ts'

/**
 * Lists services.
 *
 * @param modem Reaches the engine.
 * @param label A service label and its value.
 * @returns The services that have it.
 */
export function listServices(modem: Modem, label: string): Promise<readonly Service[]> {
  const shape = { name: 'a list of services', fits: isServiceList }
  return engineCallFor(`list services with label "${label}"`, shape, () =>
    modem.ask({
      path: '/services?',
      query: filterQuery({ label: [label] }),
      parse: (bytes) => parseJsonList(bytes),
    }),
  )
}

/**
 * Lists the tasks of a service.
 *
 * @param modem Reaches the engine.
 * @param serviceId The service's full ID.
 * @returns The tasks; none when there is no such service, for which the engine answers 404.
 */
export async function listTasks(modem: Modem, serviceId: string): Promise<readonly Task[]> {
  const shape = { name: 'a list of tasks', fits: isTaskList }
  try {
    return await engineCallFor(`list tasks of service "${serviceId}"`, shape, () =>
      modem.ask({
        path: '/tasks?',
        query: filterQuery({ service: [serviceId] }),
        parse: (bytes) => parseJsonList(bytes),
      }),
    )
  } catch (error) {
    if (error instanceof DeployerError && error.code === 'service-not-found') {
      return []
    }
    throw error
  }
}

/**
 * Lists the nodes of the swarm.
 *
 * @param modem Reaches the engine.
 * @returns The nodes.
 */
export function listNodes(modem: Modem): Promise<readonly Node[]> {
  const shape = { name: 'a list of nodes', fits: isNodeList }
  return engineCallFor('list nodes', shape, () =>
    modem.ask({ path: '/nodes', parse: (bytes) => parseJsonList(bytes) }),
  )
}
