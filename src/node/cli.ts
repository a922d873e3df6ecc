// The command: settings, adapters, the app, a server at BIND, signals.

import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isAbsolute } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { Command } from 'commander'
import { createDeployer } from '../deployer.ts'
import type { Logger } from '../logger.ts'
import { createRegistryAuthFile } from './credentials/registry-auth-file.ts'
import { createDockerodeSwarm, type DockerodeSwarm } from './docker/dockerode-swarm.ts'
import { endProcess } from './process/end-process.ts'
import { createProcessLog, type ProcessLog } from './process/process-log.ts'
import { limitConnections } from './server/connections.ts'
import { closable, counted } from './server/shutdown.ts'
import { formatAddress } from './settings/address.ts'
import { createNotifications, type Notifications } from './settings/notifications.ts'
import { type Flags, readSettings, type Settings } from './settings/settings.ts'
import type { SettingsWarning } from './settings/settings-issue.ts'
import { checkSpoolDirectory } from './spool/spool-directory.ts'

// Docker kills ten seconds after SIGTERM.
const PROCESS_ENDS_WITHIN_MS = 9000
const REQUESTS_END_WITHIN_MS = 6500
const MESSAGES_END_WITHIN_MS = 2000
// Stands in the URL of a request without a `Host` header, which HTTP/1.0 allows. Without it such a
// request would be 400; an answer never shows it, since `Location` is a path.
const HOST_WITHOUT_HEADER = 'localhost'
const SPOOL_ENDS_WITHIN_MS = 300
const SIGNALS_THAT_END = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** What the command reads. */
export interface CommandSources {
  /** As in `process.argv`. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Runs Deployer until a signal ends it.
 *
 * @param sources The command line and the environment.
 */
export function runCommand({ argv, env }: CommandSources): void {
  new Command('deployer')
    .description(
      'Updates Docker Swarm services over HTTP: PUT /service/<name> {"image": "name:tag"}',
    )
    .version(version)
    .configureOutput({
      // A misspelled flag comes with its value, which may be a secret.
      outputError: (text, write) => write(text.replace(/'(-[^'=]*)=.*'/s, "'$1=…'")),
    })
    .option('--token <secret>', 'TOKEN: what callers must send in the Authorization header')
    .option(
      '--docker-host <url>',
      'DOCKER_HOST: a swarm manager (default: unix:///var/run/docker.sock)',
    )
    .option('--notify-flags <json>', 'NOTIFY_FLAGS: where messages go, and what they say')
    .option('--bind <address>', 'BIND: where to listen (default: :9999)')
    .addHelpText(
      'after',
      '\nA flag wins over its variable. Other users of the machine can see flags.',
    )
    .action((options: Record<string, string | undefined>) => {
      const flags = {
        ...(options.token === undefined ? {} : { TOKEN: options.token }),
        ...(options.dockerHost === undefined ? {} : { DOCKER_HOST: options.dockerHost }),
        ...(options.notifyFlags === undefined ? {} : { NOTIFY_FLAGS: options.notifyFlags }),
        ...(options.bind === undefined ? {} : { BIND: options.bind }),
      }
      void start(flags, env)
    })
    .parse(argv.map(withTwoDashes))
}

/** Go's flags may have one dash, so the callers of the Go program wrote `-token`. */
function withTwoDashes(argument: string): string {
  return /^-(?:token|docker-host|notify-flags|bind)(?:=|$)/.test(argument)
    ? `-${argument}`
    : argument
}

async function start(flags: Flags, env: CommandSources['env']): Promise<void> {
  const readFile = (path: string): string => readFileSync(path, 'utf8')
  const result = readSettings(flags, { env, readFile })
  const faults = [...(result.ok ? [] : result.faults), ...(await faultsOfSpool(env.SPOOL_DIR))]
  if (!result.ok || faults.length > 0) {
    const list = faults.map((fault) => `  ${fault}\n`).join('')
    process.stderr.write(`deployer: cannot start with these settings:\n${list}`)
    // A fault may come of the mistake that a warning names, such as a misspelled key.
    process.stderr.write(warningList(result.warnings))
    process.exitCode = 1
    return
  }
  const log = createProcessLog()
  for (const warning of result.warnings) {
    log.logger.warn(warning, 'setting is probably a mistake')
  }
  run(result.settings, log)
}

function warningList(warnings: readonly SettingsWarning[]): string {
  const list = warnings.map(({ setting, reason }) => `  ${setting} ${reason}\n`).join('')
  return list === '' ? '' : `deployer: these settings are probably mistakes:\n${list}`
}

/** Apart from the other settings, because a disk may hang. */
async function faultsOfSpool(path: string = ''): Promise<readonly string[]> {
  const fault = isAbsolute(path) ? await checkSpoolDirectory(path) : undefined
  return fault === undefined ? [] : [`SPOOL_DIR ${fault}`]
}

function run(settings: Settings, log: ProcessLog): void {
  const { logger } = log
  const { token, dockerHost, tls, bind, registryAuthFile } = settings
  const { resolveImage, foreignRegistry, rolloutTimeoutMs, evidenceLogs, basePath } = settings
  const ending = new AbortController()
  const swarm = createDockerodeSwarm({ dockerHost, ...(tls === undefined ? {} : { tls }) })
  const notifications = createNotifications(settings, logger)
  const app = createDeployer({
    token,
    swarm,
    logger,
    ...{ resolveImage, foreignRegistry, rolloutTimeoutMs, evidenceLogs, basePath },
    signal: ending.signal,
    ...(registryAuthFile === undefined
      ? {}
      : {
          registryAuth: createRegistryAuthFile(registryAuthFile, {
            onFault: (reason) => logger.error({ reason }, 'REGISTRY_AUTH_FILE cannot be used'),
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
      `deployer: cannot listen at BIND ${formatAddress(bind)}: ${error.message}; choose another address or free this one\n`,
    )
    process.exit(1)
  })
  limitConnections(server as Server)
  const close = closable(server as Server, handler)
  server.listen(bind.port, bind.host === '' ? undefined : bind.host, () => {
    const { address, port } = server.address() as AddressInfo
    logger.info({ version, bind: formatAddress({ host: address, port }), dockerHost }, 'listening')
    tellEngine(swarm, logger)
  })
  let isEnding = false
  for (const signal of SIGNALS_THAT_END) {
    // Not `once`: the second of a terminal's and npm's SIGINT would kill.
    process.on(signal, () => {
      if (!isEnding) {
        isEnding = true
        // Whoever waits for a verdict is told where to ask on.
        ending.abort()
        shutDown({ signal, close, notifications, log })
      }
    })
  }
}

/** An engine that cannot be used yet is worth a line, and no more: it may come later. */
function tellEngine(swarm: DockerodeSwarm, logger: Logger): void {
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
  readonly notifications: Notifications | undefined
  readonly log: ProcessLog
}

async function shutDown({ signal, close, notifications, log }: Running): Promise<void> {
  const deadline = performance.now() + PROCESS_ENDS_WITHIN_MS
  log.logger.info({ signal }, 'shutting down')
  const allAnswered = await close(REQUESTS_END_WITHIN_MS)
  const messages = await notifications?.outbox.close(MESSAGES_END_WITHIN_MS)
  await notifications?.release(SPOOL_ENDS_WITHIN_MS)
  const { kept: messagesKept = 0, givenUp: messagesGivenUp = 0 } = messages ?? {}
  await log.close({ allAnswered, messagesKept, messagesGivenUp }, 'stopped')
  await endProcess(0, { deadline })
}
