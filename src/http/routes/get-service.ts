// `GET /service/:name`: the current state of a service.

import type { Context } from 'hono'
import type { Swarm } from '../../swarm/swarm.ts'
import { findService } from '../../update/service-access.ts'
import { serviceNameOf } from '../paths.ts'
import { rethrow } from '../rethrow.ts'
import { serviceStatus } from '../service-status.ts'

/**
 * Creates the handler.
 *
 * @param swarm The swarm that has the service.
 * @returns A named Hono handler.
 */
export function getService(swarm: Swarm): (c: Context) => Promise<Response> {
  return async function getService(c) {
    const service = await findService(serviceNameOf(c), swarm).catch(rethrow)
    return c.json(serviceStatus(service, await swarm.listTasks(service.ID).catch(rethrow)))
  }
}
