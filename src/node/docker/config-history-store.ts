// Keeps the histories of services in configs of the swarm. All content is in their labels: the data of a
// config cannot be changed.

import { DeployerError } from '../../errors.ts'
import {
  FORMAT_LABEL,
  type HistoryStore,
  type HistoryWrite,
  type StoredHistory,
} from '../../history/history-store.ts'
import { engineCall } from './engine-call.ts'
import { isOutOfSequence } from './engine-error.ts'
import { EngineHttpError } from './engine-http-error.ts'
import { type Config, isConfig, isConfigList } from './engine-shapes.ts'
import { filterQuery } from './filter-query.ts'
import { parseJsonList } from './json-list.ts'
import type { Modem } from './modem.ts'

const NAME_PREFIX = 'deployer.history.'
// The name of a config has at most 64 characters. An ID with a slash would be another path.
const SERVICE_ID = /^[0-9A-Za-z]{1,47}$/
const DATA = 'The history of a service, written by Deployer: see the labels of this config.\n'

/**
 * Creates the store.
 *
 * @param modem Connects to the engine.
 * @returns The store. It lists configs with a label only, because a list contains the data of all
 *   configs.
 */
export function createConfigHistoryStore(modem: Modem): HistoryStore {
  /** An engine also finds a config by a prefix of its ID, and by its name in another case. */
  async function find(serviceId: string): Promise<Config | undefined> {
    try {
      const body = await modem.request({ path: `/configs/${NAME_PREFIX}${serviceId}` })
      if (!isConfig(body)) throw new EngineHttpError(200, 'the response is not a config')
      return body
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }

  async function findHistory(serviceId: string): Promise<StoredHistory | undefined> {
    const config = await find(serviceId)
    const history = config && toHistory(config)
    return history?.serviceId === serviceId ? history : undefined
  }

  async function create(serviceId: string, spec: object): Promise<HistoryWrite> {
    const body = { ...spec, Data: Buffer.from(DATA).toString('base64') }
    try {
      await modem.request({ path: '/configs/create', method: 'POST', body, status: 201 })
      return 'written'
    } catch (error) {
      if (!(error instanceof EngineHttpError && error.statusCode === 409)) throw error
      const config = await find(serviceId)
      if (config !== undefined && toHistory(config)?.serviceId !== serviceId) {
        throw foreignConfigError(serviceId, config)
      }
      return 'out-of-sequence'
    }
  }

  /** The data is left out: the engine then keeps it. */
  async function update(version: string, body: object): Promise<HistoryWrite> {
    const [id, index = ''] = version.split('.')
    const path = `/configs/${id}/update?`
    const query = { version: index }
    try {
      await modem.request({ path, method: 'POST', query, body, parse: ignoreBody })
      return 'written'
    } catch (error) {
      if (isOutOfSequence(error) || isGone(error)) return 'out-of-sequence'
      throw error
    }
  }

  return {
    async read(serviceId) {
      return SERVICE_ID.test(serviceId)
        ? historyCall(`read the history of service "${serviceId}"`, () => findHistory(serviceId))
        : undefined
    },

    write(serviceId, labels, replaced) {
      const spec = { Name: NAME_PREFIX + serviceId, Labels: labels }
      return historyCall(`write the history of service "${serviceId}"`, () =>
        replaced === undefined ? create(serviceId, spec) : update(replaced.version, spec),
      )
    },

    list(label) {
      return historyCall(`list the histories with label "${label}"`, async () => {
        const query = filterQuery({ label: [FORMAT_LABEL, label] })
        const parse = (bytes: Buffer): unknown => parseJsonList(bytes)
        const body = await modem.request({ path: '/configs?', query, parse })
        if (!isConfigList(body)) {
          throw new EngineHttpError(200, 'the response is not a list of configs')
        }
        return body.map(toHistory).filter((history) => history !== undefined)
      })
    },

    async remove({ serviceId, version }) {
      await historyCall(`remove the history of service "${serviceId}"`, async () => {
        // An engine removes a config without asking for its version.
        const history = await findHistory(serviceId)
        if (history?.version !== version) return
        const path = `/configs/${version.split('.')[0]}`
        try {
          await modem.request({ path, method: 'DELETE', status: 204, parse: ignoreBody })
        } catch (error) {
          if (!isGone(error)) throw error
        }
      })
    },
  }
}

/** Undefined if somebody else made the config. */
function toHistory({ ID, Version, Spec: { Name, Labels } }: Config): StoredHistory | undefined {
  const labels = Labels ?? {}
  return Name.startsWith(NAME_PREFIX) && Object.hasOwn(labels, FORMAT_LABEL)
    ? { serviceId: Name.slice(NAME_PREFIX.length), version: `${ID}.${Version.Index}`, labels }
    : undefined
}

function historyCall<T>(action: string, call: () => Promise<T>): Promise<T> {
  return engineCall(action, async () => {
    try {
      return await call()
    } catch (error) {
      throw isClosed(error) ? closedError(action, error) : error
    }
  })
}

/** Whether the engine itself says that it has no such config. */
function isGone(error: unknown): boolean {
  return (
    error instanceof EngineHttpError &&
    error.statusCode === 404 &&
    error.isEngineMessage &&
    /^config \S+ not found/.test(error.message)
  )
}

/**
 * Whether a proxy, or an authorization plugin of the engine, does not allow the call. A config that is
 * gone is no error when this is asked.
 */
function isClosed(error: unknown): error is EngineHttpError {
  return error instanceof EngineHttpError && [403, 404, 405].includes(error.statusCode)
}

function closedError(action: string, error: EngineHttpError): DeployerError {
  const { statusCode, message, isEngineMessage } = error
  const reason = isEngineMessage ? `${statusCode}: ${message}` : `${statusCode}`
  return new DeployerError(
    'history-unavailable',
    `Cannot ${action}: DOCKER_HOST does not allow this call of /configs (it answered ${reason}); allow GET, POST and DELETE of /configs in the proxy in front of the engine, or set HISTORY=label`,
    { cause: error },
  )
}

function foreignConfigError(serviceId: string, { Spec: { Name } }: Config): DeployerError {
  return new DeployerError(
    'engine-error',
    `Cannot write the history of service "${serviceId}": the swarm has a config "${Name}" that Deployer did not make (it has another name than "${NAME_PREFIX}${serviceId}", or no label "${FORMAT_LABEL}"); remove it with "docker config rm"`,
  )
}

function ignoreBody(): void {}
