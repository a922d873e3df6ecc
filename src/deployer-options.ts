// The options of a deployer, and what is wrong with them.

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

/** What `createDeployer` is made of. */
export interface DeployerOptions {
  /** What callers must send in the `Authorization` header, bare or after `Bearer`. */
  readonly token: string
  /** The swarm whose services are updated. */
  readonly swarm: Swarm
  /**
   * Told of each deployment that is accepted, of its end, and of each request that is turned away.
   * Default: nobody.
   */
  readonly notifier?: Notifier
  /** What the notifier is told of. Default: everything. */
  readonly notifierEvents?: readonly DeploymentEventName[]
  /**
   * Keeps what is still to be told over a restart; nobody else writes to it. Default: a restart
   * forgets it.
   */
  readonly spool?: Spool
  /**
   * Gets one line per request for a deployment, accepted or refused, and one for each verdict; of
   * requests with a wrong token at most 20 a second. Default: nothing is logged.
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
   * What becomes of the credentials stored with a service when its image comes from another registry
   * than before and there are none for that one. Default: `clear`.
   */
  readonly foreignRegistry?: ForeignRegistry
  /** How long a rollout may take before it is `timed-out`, in milliseconds. Default: 30 minutes. */
  readonly rolloutTimeoutMs?: number
  /** Whether a failed rollout shows the last lines of its failed tasks. Default: true. */
  readonly evidenceLogs?: boolean
  /**
   * The path that the `Location` of a deployment begins with, such as `/cd`. Default: what stands
   * before `/service` in the request's own path; a gateway's `mount` cuts that off.
   */
  readonly basePath?: string
  /** Ends all waiting: callers are answered at once, with what is known. Default: never. */
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
const SPOOL_METHODS: readonly (keyof Spool)[] = ['put', 'remove', 'read', 'isSafe']
const FOREIGN_REGISTRY: readonly (string | undefined)[] = [undefined, 'clear', 'keep']
const RESOLVE_IMAGE: readonly (string | undefined)[] = [undefined, 'auto', 'require', 'never']
// What a timer can take.
const MAX_TIMEOUT_MS = 2_147_483_647

/**
 * Checks options.
 *
 * @param options What an embedder passed, of whatever types.
 * @throws TypeError or RangeError that names the option, and what it must be.
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
}

/**
 * Whether a path can stand before Deployer's own.
 *
 * @param path The path.
 * @returns True for the empty one and for the likes of `/cd`: what a URL holds as it is.
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
