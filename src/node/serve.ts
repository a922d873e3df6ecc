// Runs Deployer: reads the settings, creates the adapters and the app, listens, and ends on a signal.

import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isAbsolute } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { waitFor } from '../async/wait-for.ts'
import { createDeployer, flushHistory } from '../deployer.ts'
import type { Logger } from '../logger.ts'
import { createRegistryAuthFile } from './credentials/registry-auth-file.ts'
import { createDockerodeSwarm, type DockerodeSwarm } from './docker/dockerode-swarm.ts'
import { endProcess } from './process/end-process.ts'
import { createProcessLog, type ProcessLog } from './process/process-log.ts'
import { limitConnections } from './server/connections.ts'
import { closable, counted } from './server/shutdown.ts'
import { formatAddress } from './settings/address.ts'
import { createNotifications, type Notifications } from './settings/notifications.ts'
import type { Flags } from './settings/setting-list.ts'
import { readSettings, type Settings } from './settings/settings.ts'
import type { SettingsIssue } from './settings/settings-issue.ts'
import { checkSpoolDirectory } from './spool/spool-directory.ts'

/**
 * How long the steps of the shutdown may take, one after the other, in milliseconds. Docker sends SIGKILL
 * ten seconds after SIGTERM.
 */
export const SHUTDOWN_LIMITS = {
  requestsMs: 6300,
  messagesMs: 2000,
  spoolMs: 300,
  logMs: 400,
  processMs: 9000,
} as const
// The host in the URL of a request without a `Host` header, which HTTP/1.0 allows. Without this default
// such a request would be 400. No response shows it, because `Location` is a path.
const HOST_WITHOUT_HEADER = 'localhost'
const ENDING_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const

/** The environment and the version of Deployer. */
export interface ServeOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
}

/**
 * Runs Deployer until a signal ends it. With settings that cannot be used, it prints all errors to
 * standard error and sets the exit status to 1.
 *
 * @param flags The flags of the command line.
 * @param options The environment and the version.
 */
export async function serve(flags: Flags, { env, version }: ServeOptions): Promise<void> {
  const readFile = (path: string): string => readFileSync(path, 'utf8')
  const result = readSettings(flags, { env, readFile })
  const errors = [...(result.ok ? [] : result.errors), ...(await checkSpool(env.SPOOL_DIR))]
  if (!result.ok || errors.length > 0) {
    process.stderr.write(`deployer: cannot start with these settings:\n${formatIssues(errors)}`)
    if (result.warnings.length > 0) {
      // A warning can name the cause of an error, such as a misspelled key.
      process.stderr.write(
        `deployer: these settings are probably mistakes:\n${formatIssues(result.warnings)}`,
      )
    }
    process.exitCode = 1
    return
  }
  const log = createProcessLog()
  for (const warning of result.warnings) {
    log.logger.warn(warning, 'setting is probably a mistake')
  }
  run(result.settings, { log, version })
}

function formatIssues(issues: readonly SettingsIssue[]): string {
  return issues.map(({ setting, reason }) => `  ${setting} ${reason}\n`).join('')
}

/** Not part of `readSettings`, because a disk may not respond. */
async function checkSpool(path: string = ''): Promise<readonly SettingsIssue[]> {
  const reason = isAbsolute(path) ? await checkSpoolDirectory(path) : undefined
  return reason === undefined ? [] : [{ setting: 'SPOOL_DIR', reason }]
}

interface RunOptions {
  readonly log: ProcessLog
  readonly version: string
}

function run(settings: Settings, { log, version }: RunOptions): void {
  const { logger } = log
  const { token, dockerHost, tls, bind, registryAuthFile } = settings
  const { resolveImage, foreignRegistry, rolloutTimeoutMs, evidenceLogs } = settings
  const { history, basePath } = settings
  const ending = new AbortController()
  const swarm = createDockerodeSwarm({ dockerHost, ...(tls === undefined ? {} : { tls }) })
  const notifications = createNotifications(settings, logger)
  const app = createDeployer({
    token,
    swarm,
    logger,
    resolveImage,
    foreignRegistry,
    rolloutTimeoutMs,
    evidenceLogs,
    historyStore: swarm.historyStore,
    history,
    watchForeignChanges: true,
    basePath,
    signal: ending.signal,
    ...(registryAuthFile === undefined
      ? {}
      : {
          registryAuth: createRegistryAuthFile(registryAuthFile, {
            onError: (reason) => logger.error({ reason }, 'REGISTRY_AUTH_FILE cannot be used'),
          }),
        }),
    ...(notifications === undefined
      ? {}
      : {
          notifier: notifications.outbox.notify,
          notifierEvents: notifications.events,
          ...(notifications.spool === undefined ? {} : { spool: notifications.spool }),
        }),
  })
  const handler = counted(app.fetch)
  const server = createAdaptorServer({ fetch: handler.fetch, hostname: HOST_WITHOUT_HEADER })
  server.once('error', (error: Error) => {
    process.stderr.write(
      `deployer: cannot listen at BIND ${formatAddress(bind)}: ${error.message}; choose another address or stop the process that uses this one\n`,
    )
    process.exit(1)
  })
  limitConnections(server as Server)
  const close = closable(server as Server, handler)
  server.listen(bind.port, bind.host === '' ? undefined : bind.host, () => {
    const { address, port } = server.address() as AddressInfo
    logger.info({ version, bind: formatAddress({ host: address, port }), dockerHost }, 'listening')
    logEngine(swarm, logger)
  })
  let isEnding = false
  for (const signal of ENDING_SIGNALS) {
    // Not `once`: a terminal and npm send SIGINT twice, and the second would kill the process.
    process.on(signal, () => {
      if (!isEnding) {
        isEnding = true
        // Callers that wait for a verdict get the `Location` at which they can wait again.
        ending.abort()
        shutDown({ signal, close, flush: () => flushHistory(app), notifications, log })
      }
    })
  }
}

/** An engine that cannot be used at startup is not an error: it may be available later. */
function logEngine(swarm: DockerodeSwarm, logger: Logger): void {
  swarm.check().then(
    (engine) => logger.info({ engine }, 'the Docker Engine is a swarm manager'),
    (error) =>
      logger.warn(
        { reason: error.message, code: error.code },
        'the Docker Engine cannot be used yet',
      ),
  )
}

interface Running {
  readonly signal: string
  readonly close: (timeoutMs: number) => Promise<boolean>
  /** Writes the history of services. */
  readonly flush: () => Promise<void>
  readonly notifications: Notifications | undefined
  readonly log: ProcessLog
}

async function shutDown({ signal, close, flush, notifications, log }: Running): Promise<void> {
  const deadline = performance.now() + SHUTDOWN_LIMITS.processMs
  log.logger.info({ signal }, 'shutting down')
  const allAnswered = await close(SHUTDOWN_LIMITS.requestsMs)
  // Since the signal came, changes of the history have been written at once: little can be left.
  const flushed = waitFor(flush(), { timeoutMs: SHUTDOWN_LIMITS.messagesMs, signals: [] })
  const messages = await notifications?.outbox.close(SHUTDOWN_LIMITS.messagesMs)
  await flushed
  await notifications?.release(SHUTDOWN_LIMITS.spoolMs)
  const { kept: messagesKept = 0, givenUp: messagesGivenUp = 0 } = messages ?? {}
  log.logger.info({ allAnswered, messagesKept, messagesGivenUp }, 'stopped')
  await log.close(SHUTDOWN_LIMITS.logMs)
  await endProcess(0, { deadline })
}
