// Settings from environment variables and command-line flags, with every fault told at once.

import { isAbsolute } from 'node:path'
import { createSecureContext } from 'node:tls'
import { isBasePath } from '../../deployer-options.ts'
import { tokenFault, tokenWarning } from '../../http/token.ts'
import { parseDuration } from '../../text/duration.ts'
import { errorMessage } from '../../text/error-message.ts'
import type { ResolveImage } from '../../update/image-resolution.ts'
import type { ForeignRegistry } from '../../update/registry-credentials.ts'
import { parseRegistryAuths } from '../credentials/registry-auths.ts'
import { DOCKER_HOST_FORMS, parseDockerHost } from '../docker/docker-host.ts'
import type { DockerTls } from '../docker/modem.ts'
import { type Address, parseAddress } from './address.ts'
import { type NotifySettings, readNotifyFlags } from './notify-flags.ts'
import {
  type Findings,
  type SettingsIssue,
  type SettingsWarning,
  shown,
  type Warn,
} from './settings-issue.ts'

const RESOLVE_IMAGE: readonly ResolveImage[] = ['auto', 'require', 'never']
const FOREIGN_REGISTRY: readonly ForeignRegistry[] = ['clear', 'keep']
const MIN_ROLLOUT_MS = 1000
const MAX_ROLLOUT_MS = 86_400_000

/** What Deployer runs with. */
export interface Settings {
  readonly token: string
  readonly dockerHost: string
  readonly tls?: DockerTls
  readonly bind: Address
  /** Empty when nobody is to be notified. */
  readonly notify: readonly NotifySettings[]
  /** Whether tags are resolved and pinned to digests. */
  readonly resolveImage: ResolveImage
  /** What becomes of stored credentials where an image comes from another registry than before. */
  readonly foreignRegistry: ForeignRegistry
  /** The path of a Docker `config.json` that could be read at the start. */
  readonly registryAuthFile?: string
  /** How long a rollout may take. */
  readonly rolloutTimeoutMs: number
  /** Whether failed rollouts show the last lines of their tasks. */
  readonly evidenceLogs: boolean
  /** What a proxy cuts off before the path; empty: nothing. */
  readonly basePath: string
  /** The absolute path of a directory where messages outlive a restart; missing: they do not. */
  readonly spoolDir?: string
}

/** The command line's flags by their variables' names; a flag wins over its variable. */
export interface Flags {
  readonly TOKEN?: string
  readonly DOCKER_HOST?: string
  readonly NOTIFY_FLAGS?: string
  readonly BIND?: string
}

/**
 * Either settings that hold, or everything that is wrong with them, a line each. Both can come with
 * warnings: settings that can be used and are probably mistakes.
 */
export type SettingsResult = { readonly warnings: readonly SettingsWarning[] } & (
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly faults: readonly string[] }
)

/** What {@link readSettings} reads beside the flags. */
export interface SettingsSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads a text file, or throws. */
  readonly readFile: (path: string) => string
}

/**
 * Reads and checks all settings.
 *
 * @param flags What the command line gave.
 * @param sources The environment, and how to read the files that it names. An empty variable counts
 *   as none.
 * @returns The settings, or every fault: the variable, what is wrong, what would be right; never
 *   the value of a secret. Also every warning.
 */
export function readSettings(flags: Flags, sources: SettingsSources): SettingsResult {
  const faults: string[] = []
  const fault: SettingsIssue = (variable, what) => {
    faults.push(`${variable} ${what}`)
  }
  const warnings: SettingsWarning[] = []
  const warn: Warn = (setting, reason) => {
    warnings.push({ setting, reason })
  }
  const value = (name: keyof Flags): string => flags[name] ?? sources.env[name] ?? ''

  const token = readToken(value('TOKEN'), { fault, warn })
  const tls = readTls(value('DOCKER_HOST'), sources, fault)
  const dockerHost = readDockerHost(value('DOCKER_HOST'), tls !== undefined, fault)
  const notify = readNotify(value('NOTIFY_FLAGS'), sources, { fault, warn })
  const bind = readBind(value('BIND'), fault)
  const rollouts = readRolloutSettings(sources, fault)

  if (
    token === undefined ||
    dockerHost === undefined ||
    notify === undefined ||
    bind === undefined ||
    rollouts === undefined ||
    faults.length > 0
  ) {
    return { ok: false, faults, warnings }
  }
  const settings = {
    token,
    dockerHost,
    notify,
    bind,
    ...rollouts,
    ...(tls === undefined ? {} : { tls }),
  }
  return { ok: true, settings, warnings }
}

function readToken(text: string, { fault, warn }: Findings): string | undefined {
  if (text === '') {
    return fault('TOKEN', 'is not set: set it (or --token) to the secret that callers must send')
  }
  const reason = tokenFault(text)
  if (reason !== undefined) {
    return fault('TOKEN', reason)
  }
  const mistake = tokenWarning(text)
  if (mistake !== undefined) {
    warn('TOKEN', mistake)
  }
  return text
}

function readDockerHost(text: string, isTls: boolean, fault: SettingsIssue): string | undefined {
  const dockerHost = text === '' ? 'unix:///var/run/docker.sock' : text
  return parseDockerHost(dockerHost, isTls) === undefined
    ? fault('DOCKER_HOST', `is ${shown(text)}: it must be like ${DOCKER_HOST_FORMS}`)
    : dockerHost
}

/**
 * As Docker's Go client: TLS where there is a certificate path. Unlike it, the daemon's certificate
 * is verified even without `DOCKER_TLS_VERIFY`, and that variable alone means `~/.docker`, as it
 * does for Docker's command line.
 */
function readTls(
  dockerHost: string,
  { env, readFile }: SettingsSources,
  fault: SettingsIssue,
): DockerTls | undefined {
  const isWanted = Boolean(env.DOCKER_TLS_VERIFY || env.DOCKER_CERT_PATH)
  if (!isWanted || !dockerHost.startsWith('tcp://')) {
    return undefined
  }
  const directory = env.DOCKER_CERT_PATH || `${env.HOME ?? ''}/.docker`
  const read = (name: string): string => {
    try {
      return readFile(`${directory}/${name}`)
    } catch (error) {
      fault(
        'DOCKER_CERT_PATH',
        `is ${shown(directory)}, but ${name} cannot be read (${errorMessage(error)}): put ca.pem, cert.pem and key.pem there`,
      )
      return ''
    }
  }
  const tls = { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }
  if (tls.ca !== '' && tls.cert !== '' && tls.key !== '') {
    checkTls(tls, directory, fault)
  }
  return tls
}

/** What OpenSSL cannot use would fail each call, and look like an engine that is away. */
function checkTls(tls: DockerTls, directory: string, fault: SettingsIssue): void {
  try {
    createSecureContext(tls)
  } catch (error) {
    fault(
      'DOCKER_CERT_PATH',
      `is ${shown(directory)}, but its ca.pem, cert.pem and key.pem cannot be used (${errorMessage(error)}): they must be PEM, and the key that of the certificate`,
    )
  }
}

/** Either variable holds the destinations; the file may be a Docker secret. */
function readNotify(
  flags: string,
  { env, readFile }: SettingsSources,
  findings: Findings,
): readonly NotifySettings[] | undefined {
  const { fault } = findings
  const path = env.NOTIFY_FLAGS_FILE ?? ''
  if (path === '') {
    return flags === '' ? [] : readNotifyFlags(flags, findings)
  }
  if (isJson(path)) {
    return fault('NOTIFY_FLAGS_FILE', 'is JSON and no path: set NOTIFY_FLAGS to it, or name a file')
  }
  if (flags !== '') {
    return fault('NOTIFY_FLAGS_FILE', 'is set, and so is NOTIFY_FLAGS: set one of the two')
  }
  let text: string
  try {
    text = readFile(path)
  } catch (error) {
    return fault(
      'NOTIFY_FLAGS_FILE',
      `is ${shown(path)}, but it cannot be read (${errorMessage(error)}): give Deployer a file that it may read`,
    )
  }
  return readNotifyFlags(text, findings, 'NOTIFY_FLAGS_FILE')
}

/** It may hold passwords, and an error for a file of that name would show them. */
function isJson(path: string): boolean {
  return /^\s*[[{]/.test(path)
}

function readBind(text: string, fault: SettingsIssue): Address | undefined {
  return (
    parseAddress(text === '' ? ':9999' : text) ??
    fault('BIND', `is ${shown(text)}: it must be like :9999, 127.0.0.1:9999 or [::1]:9999`)
  )
}

type RolloutSettings = Pick<
  Settings,
  | 'resolveImage'
  | 'foreignRegistry'
  | 'registryAuthFile'
  | 'rolloutTimeoutMs'
  | 'evidenceLogs'
  | 'basePath'
  | 'spoolDir'
>

/** What variables alone can set. */
function readRolloutSettings(
  sources: SettingsSources,
  fault: SettingsIssue,
): RolloutSettings | undefined {
  const { env } = sources
  const resolveImage = readResolveImage(env.RESOLVE_IMAGE || 'auto', fault)
  const foreignRegistry = readForeignRegistry(env.FOREIGN_REGISTRY || 'clear', fault)
  const registryAuthFile = env.REGISTRY_AUTH_FILE || undefined
  if (registryAuthFile !== undefined) {
    checkRegistryAuthFile(registryAuthFile, sources, fault)
  }
  const rolloutTimeoutMs = readRolloutTimeout(env.ROLLOUT_TIMEOUT || '30m', fault)
  const evidenceLogs = readEvidenceLogs(env.EVIDENCE_LOGS || 'true', fault)
  const basePath = readBasePath(env.BASE_PATH ?? '', fault)
  const spoolDir = env.SPOOL_DIR || undefined
  if (spoolDir !== undefined && !isAbsolute(spoolDir)) {
    fault('SPOOL_DIR', `is ${shown(spoolDir)}: it must be an absolute path, such as /spool`)
  }
  return resolveImage === undefined ||
    foreignRegistry === undefined ||
    rolloutTimeoutMs === undefined ||
    evidenceLogs === undefined ||
    basePath === undefined
    ? undefined
    : {
        ...{ resolveImage, foreignRegistry, rolloutTimeoutMs, evidenceLogs, basePath },
        ...(registryAuthFile === undefined ? {} : { registryAuthFile }),
        ...(spoolDir === undefined ? {} : { spoolDir }),
      }
}

function readResolveImage(text: string, fault: SettingsIssue): ResolveImage | undefined {
  return (
    RESOLVE_IMAGE.find((known) => known === text) ??
    fault('RESOLVE_IMAGE', `is ${shown(text)}: it must be auto, require or never`)
  )
}

function readForeignRegistry(text: string, fault: SettingsIssue): ForeignRegistry | undefined {
  return (
    FOREIGN_REGISTRY.find((known) => known === text) ??
    fault('FOREIGN_REGISTRY', `is ${shown(text)}: it must be clear or keep`)
  )
}

function checkRegistryAuthFile(
  path: string,
  { readFile }: SettingsSources,
  fault: SettingsIssue,
): void {
  const isWrong = (what: string): undefined =>
    fault('REGISTRY_AUTH_FILE', `is ${shown(path)}, but ${what}`)
  if (isJson(path)) {
    fault('REGISTRY_AUTH_FILE', 'is JSON and no path: put it into a file, and name that')
    return
  }
  try {
    const result = parseRegistryAuths(readFile(path))
    if (!result.ok) {
      result.faults.forEach(isWrong)
    }
  } catch (error) {
    isWrong(
      `it cannot be read (${errorMessage(error)}): give Deployer a config.json that it may read`,
    )
  }
}

function readRolloutTimeout(text: string, fault: SettingsIssue): number | undefined {
  const timeoutMs = parseDuration(text) ?? Number.NaN
  return timeoutMs >= MIN_ROLLOUT_MS && timeoutMs <= MAX_ROLLOUT_MS
    ? timeoutMs
    : fault(
        'ROLLOUT_TIMEOUT',
        `is ${shown(text)}: it must be a time from 1s to 24h, such as 90s, 30m or 2h`,
      )
}

function readEvidenceLogs(text: string, fault: SettingsIssue): boolean | undefined {
  return text === 'true' || text === 'false'
    ? text === 'true'
    : fault('EVIDENCE_LOGS', `is ${shown(text)}: it must be true or false`)
}

function readBasePath(text: string, fault: SettingsIssue): string | undefined {
  return isBasePath(text)
    ? text
    : fault('BASE_PATH', `is ${shown(text)}: it must be like /cd, without a slash at the end`)
}
