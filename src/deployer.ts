// Builds a deployer from its options.

import { checkOptions, type DeployerOptions } from './deployer-options.ts'
import type { Deployment } from './deployment/deployment.ts'
import { LONG_RECORD, SHORT_RECORD } from './deployment/deployment-record.ts'
import type { Outcome } from './deployment/verdict.ts'
import type { DeploymentHistory } from './history/deployment-history.ts'
import { createHistoryRecorder } from './history/history-recorder.ts'
import { endedEntryOf } from './history/noted-deployment.ts'
import { observeServices } from './history/observe-services.ts'
import { createApp } from './http/app.ts'
import type { DeployerApp } from './http/schema.ts'
import { type Logger, tidyLogger } from './logger.ts'
import { deploymentEventNames } from './notification/deployment-event.ts'
import { createNotificationPublisher } from './notification/notification-publisher.ts'
import { createDeployments } from './rollout/deployments.ts'
import type { NamedDeployment } from './rollout/known-deployment.ts'
import { createOpenedDeployments } from './rollout/opened-deployments.ts'
import { createServiceReadings } from './rollout/service-readings.ts'
import { createVerdictHolds } from './rollout/verdict-holds.ts'
import { createNodeList } from './swarm/node-list.ts'
import { createServiceEvents } from './swarm/service-events.ts'
import type { AppliedUpdate } from './update/applied-update.ts'
import type { DeployTools } from './update/deploy.ts'
import { createServiceQueues } from './update/service-queue.ts'

const THIRTY_MINUTES_MS = 30 * 60 * 1000
const SILENT: Logger = { info() {}, warn() {}, error() {} }

/**
 * Creates the HTTP API of Deployer: `PUT /service/:name` with `{"image": "name:tag"}`,
 * `GET /deployments/:id`, `GET /service/:name`, `GET /services` and `GET /healthz`.
 *
 * @param options The token, the swarm, and further options. The object is not changed.
 * @returns A Hono app, whose type has its routes. Its `fetch` is the handler; `gateway.route('/cd', app)`
 *   and `gateway.mount('/cd', app.fetch)` mount it under a path of another Hono app. Every error response
 *   is an RFC 9457 problem document, or plain text for a caller that prefers it.
 * @throws TypeError or RangeError that names an invalid option.
 * @example
 * ```ts
 * import { createDeployer } from 'swarm-deployer'
 * import { createDockerodeSwarm } from 'swarm-deployer/node'
 *
 * const swarm = createDockerodeSwarm({ dockerHost: 'unix:///var/run/docker.sock' })
 * gateway.route('/cd', createDeployer({ token: 'SOME_TOKEN', swarm }))
 * ```
 */
export function createDeployer(options: DeployerOptions): DeployerApp {
  checkOptions(options)
  const { token, basePath } = options
  const logger = tidyLogger(options.logger ?? SILENT)
  const signal = options.signal ?? new AbortController().signal
  const tools = createTools(options, { logger, signal })
  const app = createApp({ token, tools, logger, basePath, signal })
  histories.set(app, tools.history)
  return app
}

const histories = new WeakMap<DeployerApp, DeploymentHistory>()

/**
 * Writes what a deployer has not written to its history yet, before the process ends.
 *
 * @param app What {@link createDeployer} returned.
 * @returns A promise that resolves within 5 s, and never rejects.
 */
export async function flushHistory(app: DeployerApp): Promise<void> {
  await histories.get(app)?.flush()
}

/** Two deployers share nothing. The swarm is not called yet. */
function createTools(
  options: DeployerOptions,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): DeployTools {
  const { swarm: engine, resolveImage = 'auto', registryAuth = () => undefined } = options
  const { foreignRegistry = 'clear' } = options
  const { notifier, notifierEvents = deploymentEventNames, spool } = options
  const { rolloutTimeoutMs = THIRTY_MINUTES_MS, evidenceLogs = true } = options
  const { historyStore, watchForeignChanges: isWatching = false } = options
  const { history: historyMode = historyStore === undefined ? 'label' : 'config' } = options
  const events = createServiceEvents(engine, { signal, logger })
  const store = historyMode === 'config' ? historyStore : undefined
  const history = createHistoryRecorder({ store, logger, signal })
  const swarm =
    store === undefined
      ? engine
      : observeServices(engine, { store, history, events, isWatching, signal })
  const nodes = createNodeList(swarm)
  const readings = createServiceReadings(swarm, nodes)
  const holds = createVerdictHolds()
  const watch = {
    ...{ swarm, events, readings, holds, history },
    ...{ evidenceLogs, rolloutTimeoutMs, logger, signal },
  }
  const noteEnd = (deployment: Deployment, outcome: Outcome): void => {
    // Another process may still find out what is unknown here.
    if (deployment.unwritten === undefined && outcome.verdict !== 'unknown') {
      history.note(deployment, endedEntryOf(deployment, outcome))
    }
  }
  const deployments = createDeployments({ ...watch, noteEnd })
  const openedDeployments = createOpenedDeployments({ ...watch, history, nodes, noteEnd })
  const publisher = createNotificationPublisher({
    ...{ notifier, notifierEvents, spool },
    ...{ swarm, deployments, history, logger, signal },
  })
  const maxRecordEntries = historyMode === 'off' ? SHORT_RECORD : LONG_RECORD
  let order = 0
  const nextOrder = (): number => {
    order += 1
    return order
  }
  const queues = createServiceQueues<AppliedUpdate<NamedDeployment>>()
  return {
    ...{ swarm, resolveImage, registryAuth, foreignRegistry, events, nodes },
    ...{ deployments, openedDeployments, publisher, queues, nextOrder },
    ...{ history, holds, rolloutTimeoutMs, maxRecordEntries },
  }
}
