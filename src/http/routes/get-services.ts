// `GET /services`: the services that allow updates.

import type { Context } from 'hono'
import { ALLOW_UPDATES_LABEL } from '../../swarm/service-spec.ts'
import type { Swarm } from '../../swarm/swarm.ts'
import { rethrow } from '../rethrow.ts'
import { serviceStatus } from '../service-status.ts'

/**
 * Creates the handler.
 *
 * @param swarm The swarm whose services are listed.
 * @returns A named Hono handler.
 */
export function getServices(swarm: Swarm): (c: Context) => Promise<Response> {
  return async function getServices(c) {
    const services = await swarm.listServices(`${ALLOW_UPDATES_LABEL}=true`).catch(rethrow)
    return c.json(services.map((service) => serviceStatus(service)))
  }
}
