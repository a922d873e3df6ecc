// The `Swarm` port on a Docker Engine, by means of dockerode.

// Only this file: all of dockerode also loads gRPC and protobuf for image builds, 14 MiB of memory.
import DockerodeService from 'dockerode/lib/service.js'
import { LRUCache } from 'lru-cache'
import { DeployerError } from '../../errors.ts'
import type { HistoryStore } from '../../history/history-store.ts'
import type { Service } from '../../swarm/service.ts'
import type { Swarm } from '../../swarm/swarm.ts'
import { checkOptionNames } from '../../text/option-names.ts'
import { shown } from '../settings/settings-issue.ts'
import { createConfigHistoryStore } from './config-history-store.ts'
import type { DockerTls } from './connection-options.ts'
import { createImageResolver } from './distribution.ts'
import { DOCKER_HOST_FORMS, parseDockerHost } from './docker-host.ts'
import { engineCallFor } from './engine-call.ts'
import { createEngineClock } from './engine-clock.ts'
import { engineError, isOutOfSequence } from './engine-error.ts'
import { EngineHttpError } from './engine-http-error.ts'
import { listNodes, listServices, listTasks } from './engine-lists.ts'
import { isEngineInfo, isService } from './engine-shapes.ts'
import { readTaskLog, watchServices } from './engine-streams.ts'
import { createModem } from './modem.ts'
import { ConnectionLostError } from './round-trip.ts'

export type { DockerTls } from './connection-options.ts'

/** Options of {@link createDockerodeSwarm}. */
export interface DockerodeSwarmOptions {
  /** Address in the format of `DOCKER_HOST`. Default: `unix:///var/run/docker.sock`. */
  readonly dockerHost?: string
  /** Certificates for a `tcp://` daemon that uses TLS. Default: no TLS. */
  readonly tls?: DockerTls
  /**
   * Timeout of an engine call, in milliseconds. Default: 30000, because calls take up to 20 s while
   * the managers elect a leader, and then succeed.
   */
  readonly timeoutMs?: number
}

/** A {@link Swarm} that can also check its engine, and keep the histories of its services. */
export interface DockerodeSwarm extends Swarm {
  /**
   * Keeps the history of each service in a config of the swarm, `deployer.history.<service ID>`. It
   * shares the connections of the swarm. Nothing is written until it is passed to `createDeployer`.
   */
  readonly historyStore: HistoryStore
  /**
   * Checks that the engine is reachable and is a swarm manager. Changes nothing.
   *
   * @returns The engine's version.
   * @throws DeployerError `engine-unreachable`, `not-a-manager`, `swarm-locked` or `engine-error`.
   */
  check(): Promise<string>
}

const OPTIONS: Readonly<Record<keyof DockerodeSwarmOptions, true>> = {
  dockerHost: true,
  tls: true,
  timeoutMs: true,
}
// The longest timer of JavaScript.
const MAX_TIMEOUT_MS = 2_147_483_647
const MAX_CACHED_IDS = 1000
const OUTCOME_UNKNOWN =
  'the update may have been applied nevertheless; inspect the service before you try again'

/**
 * Creates a {@link Swarm} on a Docker Engine that is a swarm manager.
 *
 * @param options Address of the engine. Default: the local socket.
 * @returns The swarm. It connects with the first call, and keeps connections open between calls.
 *   Idle connections do not keep the process alive.
 * @throws TypeError if `dockerHost` has a format that Docker does not know, or if an option is
 *   unknown; RangeError if `timeoutMs` is not from 1 to 2147483647.
 * @example
 * ```ts
 * const swarm = createDockerodeSwarm({ dockerHost: 'unix:///var/run/docker.sock' })
 * const app = createDeployer({ token: 'SOME_TOKEN', swarm, historyStore: swarm.historyStore })
 * ```
 */
export function createDockerodeSwarm(options: DockerodeSwarmOptions = {}): DockerodeSwarm {
  checkOptionNames(options, Object.keys(OPTIONS))
  const { dockerHost = 'unix:///var/run/docker.sock', tls, timeoutMs = 30_000 } = options
  const host = parseDockerHost(dockerHost, tls !== undefined)
  if (host === undefined) {
    throw new TypeError(
      `Cannot use dockerHost ${shown(dockerHost)}: it must have the form ${DOCKER_HOST_FORMS}`,
    )
  }
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new RangeError(
      `Cannot use timeoutMs ${timeoutMs}: it must be milliseconds from 1 to ${MAX_TIMEOUT_MS}`,
    )
  }
  const clock = createEngineClock()
  const modem = createModem({ host, timeoutMs, clock, ...(tls === undefined ? {} : { tls }) })
  const resolveImage = createImageResolver(modem, { timeoutMs })
  const dockerService = (nameOrId: string) => new DockerodeService(modem, nameOrId)

  // An engine needs only three quarters of the time to find a service by ID instead of by name.
  const idsByName = new LRUCache<string, string>({ max: MAX_CACHED_IDS })

  function inspect(nameOrId: string, action: string): Promise<Service> {
    const expected = { name: 'a service', matches: isService }
    return engineCallFor(action, expected, () => dockerService(nameOrId).inspect())
  }

  /**
   * Inspects by cached ID; undefined if there is none, or if it is no longer the ID of that name.
   */
  async function inspectByCachedId(name: string, action: string): Promise<Service | undefined> {
    const id = idsByName.get(name)
    if (id === undefined) {
      return undefined
    }
    try {
      const service = await inspect(id, action)
      return service.ID === id && service.Spec.Name === name ? service : undefined
    } catch (error) {
      if (error instanceof DeployerError && error.code === 'service-not-found') {
        idsByName.delete(name)
        return undefined
      }
      throw error
    }
  }

  return {
    async inspectService(nameOrId): Promise<Service> {
      const action = `inspect service "${nameOrId}"`
      const cached = await inspectByCachedId(nameOrId, action)
      const service = cached ?? (await inspect(nameOrId, action))
      if (service.Spec.Name === nameOrId) {
        idsByName.set(nameOrId, service.ID)
      }
      return service
    },

    async updateService({ ID, Version, Spec }, spec, { registryAuth } = {}) {
      const update = { _query: { version: String(Version.Index) }, _body: spec }
      try {
        await dockerService(ID).update(registryAuth, update)
        return 'updated'
      } catch (error) {
        if (isOutOfSequence(error)) {
          return 'out-of-sequence'
        }
        throw updateError(error, `update service "${Spec.Name}"`)
      }
    },

    resolveImage,

    listServices: (label) => listServices(modem, label),
    listTasks: (serviceId) => listTasks(modem, serviceId),
    listNodes: () => listNodes(modem),
    readTaskLog: (taskId, lines) => readTaskLog(modem, taskId, lines),
    watchServices: (listener, watch) => watchServices(modem, listener, watch),
    now: clock.now,
    historyStore: createConfigHistoryStore(modem),

    async check(): Promise<string> {
      const expected = { name: 'engine information', matches: isEngineInfo }
      const info = await engineCallFor('check the engine', expected, () =>
        modem.request({ path: '/info' }),
      )
      if (info.Swarm?.LocalNodeState === 'locked') {
        throw new DeployerError(
          'swarm-locked',
          'Cannot use the engine: its swarm is locked; run "docker swarm unlock" on it',
        )
      }
      if (info.Swarm?.ControlAvailable !== true) {
        throw new DeployerError(
          'not-a-manager',
          'Cannot use the engine: it is not a swarm manager; set DOCKER_HOST to a swarm manager',
        )
      }
      return String(info.ServerVersion)
    },
  }
}

/**
 * A leader that loses its quorum answers an update with an error, and may apply it nevertheless
 * (observed in 2 of 2 runs). So may an engine whose connection broke after the request was sent.
 */
function updateError(error: unknown, action: string): DeployerError {
  const { code, message, retryAfterSeconds } = engineError(error, action)
  const isUncertain = code === 'no-quorum' || error instanceof ConnectionLostError
  return new DeployerError(code, isUncertain ? `${message}; ${OUTCOME_UNKNOWN}` : message, {
    ...(isUncertain || retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    cause: error,
    notApplied: isNotApplied(error),
  })
}

/** The engine answers 4xx before it proposes a write, and without a connection it received none. */
function isNotApplied(error: unknown): boolean {
  return error instanceof EngineHttpError
    ? error.isEngineMessage && error.statusCode >= 400 && error.statusCode < 500
    : !(error instanceof ConnectionLostError)
}
