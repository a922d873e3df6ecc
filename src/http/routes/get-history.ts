// `GET /service/:name/history`: the deployments of a service, also those of earlier services with that name.

import type { Context } from 'hono'
import { DeployerError } from '../../errors.ts'
import type { HistoryRecorder, ServiceHistory } from '../../history/history-recorder.ts'
import { currentTimeMs } from '../../swarm/current-time.ts'
import type { Service } from '../../swarm/service.ts'
import { isServiceId, isServiceName } from '../../swarm/service-name.ts'
import type { Swarm } from '../../swarm/swarm.ts'
import { findService } from '../../update/service-access.ts'
import { historyReport } from '../history-report.ts'
import { keepAlive } from '../keep-alive.ts'
import { serviceNameOf } from '../paths.ts'
import { rethrow } from '../rethrow.ts'

/** What the handler needs. */
export interface HistoryTools {
  readonly swarm: Swarm
  readonly history: HistoryRecorder
}

/**
 * Creates the handler. Like `GET /service/:name`, it shows services that do not allow updates too.
 *
 * @param tools The swarm and the histories.
 * @returns A named Hono handler.
 */
export function getHistory(tools: HistoryTools): (c: Context) => Promise<Response> {
  const { history } = tools
  return async function getHistory(c) {
    const name = serviceNameOf(c)
    const found = await lookUp(name, tools.swarm)
    const service = found instanceof DeployerError ? undefined : found
    const histories = await findHistories(name, service, history).catch(rethrow)
    if (found instanceof DeployerError && histories.length === 0) {
      throw found
    }
    noteRemovals(histories, service, tools)
    keepAlive(c, () => history.idle())
    return c.json(historyReport(service?.Spec.Name ?? histories[0]?.service ?? name, histories))
  }
}

/** Returns the error of a service that does not exist, because its history may. */
async function lookUp(name: string, swarm: Swarm): Promise<Service | DeployerError> {
  try {
    return await findService(name, swarm)
  } catch (error) {
    const isMissing = error instanceof DeployerError && error.code === 'service-not-found'
    return isMissing ? error : rethrow(error)
  }
}

async function findHistories(
  name: string,
  service: Service | undefined,
  history: HistoryRecorder,
): Promise<readonly ServiceHistory[]> {
  const byId = isServiceId(name) ? await history.findById(name) : undefined
  if (service?.ID === name || byId !== undefined) {
    return byId === undefined ? [] : [byId]
  }
  return isServiceName(name) ? history.findByName(name) : []
}

/** A name has one service at a time. */
function noteRemovals(
  histories: readonly ServiceHistory[],
  service: Service | undefined,
  { swarm, history }: HistoryTools,
): void {
  for (const { serviceId, removedAt } of histories) {
    if (removedAt === undefined && serviceId !== service?.ID) {
      history.noteRemoved(serviceId, new Date(currentTimeMs(swarm)).toISOString())
    }
  }
}
