// The swarm behind a Docker Engine, through dockerode.

import DockerodeService from 'dockerode/lib/service.js'
import { DeployerError } from '../../errors.ts'
import type { Service } from '../../swarm/service.ts'
import type { Swarm } from '../../swarm/swarm.ts'
// The whole of dockerode brings gRPC and protobuf along, 14 MiB of memory for builds that nobody here asks for.
import { shown } from '../settings/settings-issue.ts'
import { createImageResolver } from './distribution.ts'
import { DOCKER_HOST_FORMS, parseDockerHost } from './docker-host.ts'
import { engineCallFor } from './engine-call.ts'
import { createEngineClock } from './engine-clock.ts'
import { engineError, isOutOfSequence } from './engine-error.ts'
import { listNodes, listServices, listTasks } from './engine-lists.ts'
import { isEngineInfo, isService } from './engine-shapes.ts'
import { readTaskLog, watchServices } from './engine-streams.ts'
import { createModem, type DockerTls } from './modem.ts'
import { ConnectionLostError } from './round-trip.ts'

export type { DockerTls } from './modem.ts'

/** What {@link createDockerodeSwarm} needs to know. */
export interface DockerodeSwarmOptions {
  /** As `DOCKER_HOST`. Default: `unix:///var/run/docker.sock`. */
  readonly dockerHost?: string
  /** Certificates for a `tcp://` daemon that wants TLS. Default: plain TCP. */
  readonly tls?: DockerTls
  /**
   * The longest that one engine call may take, in milliseconds. Default: 30000, since calls hang
   * for up to 20 s while managers elect a leader, and then succeed.
   */
  readonly timeoutMs?: number
}

/** A {@link Swarm} that can also tell how its engine is. */
export interface DockerodeSwarm extends Swarm {
  /**
   * Asks whether the engine is there and manages a swarm; nothing is changed.
   *
   * @returns The engine's version.
   * @throws DeployerError `engine-unreachable`, `not-a-manager`, `swarm-locked` or `engine-error`.
   */
  check(): Promise<string>
}

const MAX_REMEMBERED = 1000
const OUTCOME_UNKNOWN = 'it may have been written all the same, so look at the service first'

/**
 * Makes a {@link Swarm} of a Docker Engine that is a swarm manager.
 *
 * @param options Where the engine is; defaults to the local socket.
 * @returns The swarm. Nothing is connected yet; connections are kept alive between calls.
 * @throws TypeError when `dockerHost` is not of a form that Docker knows.
 * @example
 * ```ts
 * const swarm = createDockerodeSwarm({ dockerHost: 'unix:///var/run/docker.sock' })
 * ```
 */
export function createDockerodeSwarm(options: DockerodeSwarmOptions = {}): DockerodeSwarm {
  const { dockerHost = 'unix:///var/run/docker.sock', tls, timeoutMs = 30_000 } = options
  const host = parseDockerHost(dockerHost, tls !== undefined)
  if (host === undefined) {
    throw new TypeError(
      `Cannot use dockerHost ${shown(dockerHost)}: it must be ${DOCKER_HOST_FORMS}`,
    )
  }
  const clock = createEngineClock()
  const modem = createModem({ host, timeoutMs, clock, ...(tls === undefined ? {} : { tls }) })
  const resolveImage = createImageResolver(modem, { timeoutMs })
  const dockerService = (nameOrId: string) => new DockerodeService(modem, nameOrId)

  // An engine finds a service by its ID in three quarters of the time that a name takes it.
  const idsByName = new Map<string, string>()

  function remember(name: string, id: string): void {
    if (idsByName.size >= MAX_REMEMBERED) {
      idsByName.clear()
    }
    idsByName.set(name, id)
  }

  function inspect(nameOrId: string, action: string): Promise<Service> {
    const shape = { name: 'a service', fits: isService }
    return engineCallFor(action, shape, () => dockerService(nameOrId).inspect())
  }

  /** By the ID that the name had last; undefined when there is none, or another service has the name. */
  async function inspectKnown(name: string, action: string): Promise<Service | undefined> {
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
      const known = await inspectKnown(nameOrId, action)
      const service = known ?? (await inspect(nameOrId, action))
      if (service.Spec.Name === nameOrId) {
        remember(nameOrId, service.ID)
      }
      return service
    },

    async updateService({ ID, Version, Spec }, spec, { registryAuth } = {}) {
      const written = { _query: { version: String(Version.Index) }, _body: spec }
      try {
        await dockerService(ID).update(registryAuth, written)
        return 'updated'
      } catch (error) {
        if (isOutOfSequence(error)) {
          return 'out-of-sequence'
        }
        throw updateFault(error, `update service "${Spec.Name}"`)
      }
    },

    resolveImage,

    listServices: (label) => listServices(modem, label),
    listTasks: (serviceId) => listTasks(modem, serviceId),
    listNodes: () => listNodes(modem),
    readTaskLog: (taskId, lines) => readTaskLog(modem, taskId, lines),
    watchServices: (listener, watch) => watchServices(modem, listener, watch),
    now: clock.now,

    async check(): Promise<string> {
      const shape = { name: 'an engine', fits: isEngineInfo }
      const info = await engineCallFor('ask the engine how it is', shape, () =>
        modem.ask({ path: '/info' }),
      )
      if (info.Swarm?.LocalNodeState === 'locked') {
        throw new DeployerError(
          'swarm-locked',
          'Cannot use the engine: its swarm is locked; run "docker swarm unlock" there',
        )
      }
      if (info.Swarm?.ControlAvailable !== true) {
        throw new DeployerError(
          'not-a-manager',
          'Cannot use the engine: it is not a swarm manager; set DOCKER_HOST to one',
        )
      }
      return String(info.ServerVersion)
    },
  }
}

/**
 * A leader that loses its quorum answers an update with an error and may write it all the same
 * (seen in 2 of 2 runs); so may an engine whose connection broke after the request was sent.
 */
function updateFault(error: unknown, action: string): DeployerError {
  const fault = engineError(error, action)
  const isOpen = fault.code === 'no-quorum' || error instanceof ConnectionLostError
  return isOpen
    ? new DeployerError(fault.code, `${fault.message}; ${OUTCOME_UNKNOWN}`, { cause: error })
    : fault
}
