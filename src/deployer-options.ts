// The options of a deployer, and their validation.

import { type HistoryMode, historyModes } from './history/history-mode.ts'
import type { HistoryStore } from './history/history-store.ts'
import { tokenFault } from './http/token.ts'
import type { Logger } from './logger.ts'
import { type DeploymentEventName, deploymentEventNames } from './notification/deployment-event.ts'
import type { Notifier } from './notification/notifier.ts'
import type { Spool } from './notification/spool.ts'
import type { Swarm } from './swarm/swarm.ts'
import { checkOptionNames } from './text/option-names.ts'
import type { ResolveImage } from './update/image-resolution.ts'
import type { RegistryAuthStore } from './update/registry-auth-store.ts'
import type { ForeignRegistry } from './update/registry-credentials.ts'

/** The options of `createDeployer`. */
export interface DeployerOptions {
  /** The token that callers send in the `Authorization` header, bare or after `Bearer`. */
  readonly token: string
  /** The swarm whose services are updated. */
  readonly swarm: Swarm
  /**
   * Called for each accepted deployment, for its end, and for each rejected request. Default: there are no
   * notifications.
   */
  readonly notifier?: Notifier
  /** The events that the notifier is called for. Default: all. */
  readonly notifierEvents?: readonly DeploymentEventName[]
  /**
   * Keeps the notifications that are still due, so that a restart does not lose them. No other program may
   * write to it. Default: a restart loses them.
   */
  readonly spool?: Spool
  /**
   * Receives one line for each request for a deployment, accepted or rejected, and one for each verdict;
   * for requests with a wrong token at most 20 a second. Default: nothing is logged.
   */
  readonly logger?: Logger
  /**
   * Returns the credentials for a registry, or a promise of them, where the caller sends none. Default:
   * there are none.
   */
  readonly registryAuth?: RegistryAuthStore
  /** Whether tags are resolved and pinned to digests. Default: `auto`. */
  readonly resolveImage?: ResolveImage
  /**
   * How to treat the credentials stored with a service when the new image is from another registry and
   * there are no credentials for that one. Default: `clear`.
   */
  readonly foreignRegistry?: ForeignRegistry
  /** How long a rollout may take before it is `timed-out`, in milliseconds. Default: 30 minutes. */
  readonly rolloutTimeoutMs?: number
  /** Whether the report of a failed rollout has the last log lines of its failed tasks. Default: true. */
  readonly evidenceLogs?: boolean
  /**
   * Keeps the history of each service, such as the `historyStore` of `createDockerodeSwarm`. Default: the
   * label on the service holds the newest eight deployments, and there is no other history.
   */
  readonly historyStore?: HistoryStore
  /**
   * Where the history of each service is kept: `config` is the `historyStore`, `label` the label on the
   * service, and `off` is nowhere. Default: `config` with a `historyStore`, else `label`.
   */
  readonly history?: HistoryMode
  /**
   * Whether the event stream is always open, so that changes that others make are entered into the history at
   * once, and whether histories of services that are gone are removed after 7 days; for a program that
   * always runs. Default: false, changes are entered when a service is read for another reason.
   */
  readonly watchForeignChanges?: boolean
  /**
   * Path prefix of the `Location` of a deployment, such as `/cd`. Default: the prefix of the request's own
   * path, which a gateway's `mount` and some reverse proxies strip.
   */
  readonly basePath?: string
  /** Ends every wait: waiting callers get the current state immediately. Default: no wait is ended. */
  readonly signal?: AbortSignal
}

const OPTIONS: Readonly<Record<keyof DeployerOptions, true>> = {
  token: true,
  swarm: true,
  notifier: true,
  notifierEvents: true,
  spool: true,
  logger: true,
  registryAuth: true,
  resolveImage: true,
  foreignRegistry: true,
  rolloutTimeoutMs: true,
  evidenceLogs: true,
  historyStore: true,
  history: true,
  watchForeignChanges: true,
  basePath: true,
  signal: true,
}
const SWARM_METHODS: readonly (keyof Swarm)[] = [
  'inspectService',
  'updateService',
  'resolveImage',
  'listServices',
  'listTasks',
  'listNodes',
  'readTaskLog',
  'watchServices',
  'now',
]
const HISTORY_METHODS: readonly (keyof HistoryStore)[] = ['read', 'write', 'list', 'remove']
const SPOOL_METHODS: readonly (keyof Spool)[] = ['put', 'remove', 'read', 'isSafe']
const FOREIGN_REGISTRY: readonly (string | undefined)[] = [undefined, 'clear', 'keep']
const RESOLVE_IMAGE: readonly (string | undefined)[] = [undefined, 'auto', 'require', 'never']
// The longest delay of a timer.
const MAX_TIMEOUT_MS = 2_147_483_647

/**
 * Checks options.
 *
 * @param options The options that an embedder passed, of any type.
 * @throws TypeError or RangeError that names the invalid option and the valid values.
 */
export function checkOptions(options: DeployerOptions): void {
  checkOptionNames(options, Object.keys(OPTIONS))
  const { token, swarm, notifier, notifierEvents = [], spool, logger, registryAuth } = options
  if (typeof token !== 'string' || token === '') {
    throw new TypeError('Cannot create a deployer without a token: set `token` to a string')
  }
  const fault = tokenFault(token)
  if (fault !== undefined) {
    throw new TypeError(`Cannot use \`token\`: it ${fault}`)
  }
  const missing = SWARM_METHODS.filter((method) => typeof swarm?.[method] !== 'function')
  if (missing.length > 0) {
    throw new TypeError(
      `Cannot create a deployer without a swarm: set \`swarm\` to a Swarm (it has no ${missing.join(', ')})`,
    )
  }
  for (const [name, value] of Object.entries({ notifier, registryAuth })) {
    if (value !== undefined && typeof value !== 'function') {
      throw new TypeError(`Cannot use \`${name}\`: it must be a function`)
    }
  }
  const strange = notifierEvents.find((name) => !deploymentEventNames.includes(name))
  if (strange !== undefined) {
    throw new TypeError(
      `Cannot use \`notifierEvents\` with ${JSON.stringify(strange)}: the events are ${deploymentEventNames.join(', ')}`,
    )
  }
  const missingOfSpool = SPOOL_METHODS.filter((method) => typeof spool?.[method] !== 'function')
  if (spool !== undefined && missingOfSpool.length > 0) {
    throw new TypeError(`Cannot use \`spool\`: it has no ${missingOfSpool.join(', ')}`)
  }
  const methods = [logger?.info, logger?.warn, logger?.error]
  if (logger !== undefined && methods.some((method) => typeof method !== 'function')) {
    throw new TypeError('Cannot use `logger`: it must have the methods info, warn and error')
  }
  checkRolloutOptions(options)
  checkHistoryOptions(options)
}

/**
 * Whether a path can be a base path.
 *
 * @param path The path.
 * @returns True for an empty path, and for one such as `/cd` that needs no encoding in a URL.
 */
export function isBasePath(path: string): boolean {
  return /^(?:\/[\w.~!$&'()*+,;=:@%-]+)*$/.test(path)
}

function checkRolloutOptions(options: DeployerOptions): void {
  const { resolveImage, rolloutTimeoutMs = 1, evidenceLogs, basePath, signal } = options
  if (!RESOLVE_IMAGE.includes(resolveImage)) {
    throw new TypeError('Cannot use `resolveImage`: it must be auto, require or never')
  }
  if (!FOREIGN_REGISTRY.includes(options.foreignRegistry)) {
    throw new TypeError('Cannot use `foreignRegistry`: it must be clear or keep')
  }
  const isTimeout = rolloutTimeoutMs > 0 && rolloutTimeoutMs <= MAX_TIMEOUT_MS
  if (typeof rolloutTimeoutMs !== 'number' || !isTimeout) {
    throw new RangeError(
      `Cannot use \`rolloutTimeoutMs\` ${rolloutTimeoutMs}: it must be milliseconds from 1 to ${MAX_TIMEOUT_MS}`,
    )
  }
  if (evidenceLogs !== undefined && typeof evidenceLogs !== 'boolean') {
    throw new TypeError('Cannot use `evidenceLogs`: it must be true or false')
  }
  if (basePath !== undefined && !isBasePath(basePath)) {
    throw new TypeError(
      'Cannot use `basePath`: it must be a path such as /cd, without a slash at the end',
    )
  }
  if (signal !== undefined && typeof signal.addEventListener !== 'function') {
    throw new TypeError('Cannot use `signal`: it must be an AbortSignal')
  }
}

function checkHistoryOptions(options: DeployerOptions): void {
  const { historyStore, history, watchForeignChanges } = options
  const missing = HISTORY_METHODS.filter((name) => typeof historyStore?.[name] !== 'function')
  if (historyStore !== undefined && missing.length > 0) {
    throw new TypeError(`Cannot use \`historyStore\`: it has no ${missing.join(', ')}`)
  }
  if (history !== undefined && !historyModes.includes(history)) {
    throw new TypeError('Cannot use `history`: it must be config, label or off')
  }
  if (watchForeignChanges !== undefined && typeof watchForeignChanges !== 'boolean') {
    throw new TypeError('Cannot use `watchForeignChanges`: it must be true or false')
  }
  if (history === 'config' && historyStore === undefined) {
    throw new TypeError(
      'Cannot use `history` config without a store: set `historyStore`, such as that of createDockerodeSwarm',
    )
  }
}
