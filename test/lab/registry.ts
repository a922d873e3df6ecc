// A loopback registry, with or without a password.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDaemon, type Daemon } from './processes.ts'

/** Access to a running registry. */
export interface RegistryClient {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  /**
   * Resolves a tag.
   *
   * @param name A repository and a tag, as in `lab/app:v1`.
   * @returns The digest, `sha256:…`, or `undefined` if the tag does not exist.
   */
  digest(name: string): Promise<string | undefined>
}

/** Options of {@link createRegistry}. */
export interface RegistryOptions {
  /** Name of its files, unique in the lab. Default: `registry`. */
  readonly name?: string
  /** A line of an htpasswd file, with bcrypt. Default: no password. */
  readonly htpasswd?: string
}

/** A registry that this process started. */
export type Registry = RegistryClient & Daemon

/**
 * Gives access to a running registry.
 *
 * @param address `127.0.0.1:PORT`.
 * @returns The registry.
 */
export function connectRegistry(address: string): RegistryClient {
  async function digest(name: string): Promise<string | undefined> {
    const colon = name.lastIndexOf(':')
    const url = `http://${address}/v2/${name.slice(0, colon)}/manifests/${name.slice(colon + 1)}`
    const response = await fetch(url, {
      method: 'HEAD',
      headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
      signal: AbortSignal.timeout(10_000),
    })
    if (response.status === 404) return undefined
    if (!response.ok)
      throw new Error(`Could not ask for the digest of "${name}": ${response.status}`)
    return response.headers.get('docker-content-digest') ?? undefined
  }
  return { address, digest }
}

/**
 * Prepares a registry, which its `start` starts.
 *
 * @param directory The lab's directory.
 * @param port A free port.
 * @param options Its name and its password.
 * @returns The registry.
 */
export async function createRegistry(
  directory: string,
  port: number,
  { name = 'registry', htpasswd }: RegistryOptions = {},
): Promise<Registry> {
  const address = `127.0.0.1:${port}`
  const configFile = join(directory, `${name}.json`)
  const passwordFile = join(directory, `${name}.htpasswd`)
  if (htpasswd !== undefined) await writeFile(passwordFile, `${htpasswd}\n`)
  // JSON is valid YAML.
  const config = {
    version: 0.1,
    storage: {
      filesystem: { rootdirectory: join(directory, name) },
      delete: { enabled: true },
    },
    http: { addr: address },
    ...(htpasswd === undefined ? {} : { auth: { htpasswd: { realm: name, path: passwordFile } } }),
  }
  await writeFile(configFile, JSON.stringify(config))
  const daemon = createDaemon('docker-registry', {
    directory,
    args: ['serve', configFile],
    isReady: async () => {
      const answer = await fetch(`http://${address}/v2/`).catch(() => undefined)
      return answer?.status === (htpasswd === undefined ? 200 : 401)
    },
  })
  return { ...connectRegistry(address), ...daemon }
}
