// What a deployer works with, put together from its options.

import type { DeployerOptions } from './deployer-options.ts'
import { deploymentEventNames } from './notification/deployment-event.ts'
import { createAnnouncer } from './notification/notification-publisher.ts'
import { createDeployments } from './rollout/deployments.ts'
import type { NamedDeployment } from './rollout/known-deployment.ts'
import { createOpenedDeployments } from './rollout/opened-deployments.ts'
import { createServiceReadings } from './rollout/service-readings.ts'
import { createNodeList } from './swarm/node-list.ts'
import { createServiceEvents } from './swarm/service-events.ts'
import type { Logger } from './swarm/swarm.ts'
import type { Written } from './update/apply-update.ts'
import type { DeployTools } from './update/deploy.ts'
import { createWriteQueue } from './update/service-queue.ts'

const THIRTY_MINUTES_MS = 30 * 60 * 1000

/**
 * Makes the tools of one deployer; nothing of them is shared with another.
 *
 * @param options The deployer's options.
 * @param defaults The logger and the signal, also where the options have none.
 * @returns The tools; the swarm has not been asked anything yet.
 */
export function createTools(
  options: DeployerOptions,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): DeployTools {
  const { swarm, resolveImage = 'auto', registryAuth = () => undefined } = options
  const { foreignRegistry = 'clear' } = options
  const { notifier, notifierEvents = deploymentEventNames, spool } = options
  const { rolloutTimeoutMs = THIRTY_MINUTES_MS, evidenceLogs = true } = options
  const events = createServiceEvents(swarm, signal)
  const nodes = createNodeList(swarm)
  const readings = createServiceReadings(swarm, nodes)
  const watch = { swarm, events, readings, evidenceLogs, rolloutTimeoutMs, logger, signal }
  const deployments = createDeployments(watch)
  const openedDeployments = createOpenedDeployments(watch)
  const announcer = createAnnouncer({
    ...{ notifier, notifierEvents, spool },
    ...{ swarm, deployments, logger, signal },
  })
  let order = 0
  const nextOrder = (): number => {
    order += 1
    return order
  }
  const queue = createWriteQueue<Written<NamedDeployment>>()
  return {
    ...{ swarm, resolveImage, registryAuth, foreignRegistry, events, nodes },
    ...{ deployments, openedDeployments, announcer, queue, nextOrder },
  }
}
