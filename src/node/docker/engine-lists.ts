// Lists services, tasks and nodes of the engine.

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
 * @param modem Connects to the engine.
 * @param label A service label and its value, as `key=value`.
 * @returns The services that have it.
 */
export function listServices(modem: Modem, label: string): Promise<readonly Service[]> {
  const expected = { name: 'a list of services', matches: isServiceList }
  return engineCallFor(`list services with label "${label}"`, expected, () =>
    modem.request({
      path: '/services?',
      query: filterQuery({ label: [label] }),
      parse: (bytes) => parseJsonList(bytes),
    }),
  )
}

/**
 * Lists the tasks of a service.
 *
 * @param modem Connects to the engine.
 * @param serviceId The service's full ID.
 * @returns The tasks; none if the service does not exist, for which the engine answers 404.
 */
export async function listTasks(modem: Modem, serviceId: string): Promise<readonly Task[]> {
  const expected = { name: 'a list of tasks', matches: isTaskList }
  try {
    return await engineCallFor(`list tasks of service "${serviceId}"`, expected, () =>
      modem.request({
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
 * @param modem Connects to the engine.
 * @returns The nodes.
 */
export function listNodes(modem: Modem): Promise<readonly Node[]> {
  const expected = { name: 'a list of nodes', matches: isNodeList }
  return engineCallFor('list nodes', expected, () =>
    modem.request({ path: '/nodes', parse: (bytes) => parseJsonList(bytes) }),
  )
}
