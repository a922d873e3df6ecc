// Credentials for registries from a Docker `config.json`, which is read again when it changes.

import { readFileSync, statSync } from 'node:fs'
import { errorMessage } from '../../text/error-message.ts'
import { checkOptionNames } from '../../text/option-names.ts'
import { shown } from '../settings/settings-issue.ts'
import { findRegistryAuth, parseRegistryAuths, type RegistryAuths } from './registry-auths.ts'

/** Options of {@link createRegistryAuthFile}. */
export interface RegistryAuthFileOptions {
  /** Called once for each change after which the file cannot be used. The message contains no secret. */
  readonly onError: (message: string) => void
}

/**
 * Creates a store of the credentials in a Docker `config.json`. Each lookup checks whether the file has
 * changed, so that new passwords need no restart. While the file cannot be used, the last valid
 * credentials stay in use.
 *
 * @param path The path of the file.
 * @param options How a file that cannot be used any more is reported.
 * @returns A function that returns the credentials for a registry. It never throws.
 * @throws TypeError if the file cannot be used at creation, and for an unknown option.
 * @example
 * ```ts
 * const registryAuth = createRegistryAuthFile('/run/secrets/docker-config', {
 *   onError: (message) => console.error(message),
 * })
 * const app = createDeployer({ token, swarm, registryAuth })
 * ```
 */
export function createRegistryAuthFile(
  path: string,
  options: RegistryAuthFileOptions,
): (domain: string) => string | undefined {
  checkOptionNames(options, ['onError'])
  const { onError } = options
  let auths: RegistryAuths = new Map()
  let version = ''
  /** Reads the file if it has changed. Returns the reason if it cannot be used. */
  const refresh = (): string | undefined => {
    const current = readIfChanged(path, version)
    if (current.version === version) {
      return undefined
    }
    version = current.version
    const result = current.text === undefined ? undefined : parseRegistryAuths(current.text)
    auths = result?.ok ? result.auths : auths
    return result?.ok === false ? result.errors.join('; ') : current.error
  }

  const errorAtCreation = refresh()
  if (errorAtCreation !== undefined) {
    throw new TypeError(`Cannot use the registry credentials in ${shown(path)}: ${errorAtCreation}`)
  }
  return function registryAuthOf(domain) {
    const error = refresh()
    if (error !== undefined) {
      const message = `Cannot read the registry credentials in ${shown(path)} again, so the last valid ones stay in use: ${error}`
      try {
        onError(message)
      } catch {
        // A deployment does not fail because its credentials cannot be reported.
      }
    }
    return findRegistryAuth(auths, domain)
  }
}

interface FileState {
  /** Identifies the content of the file, or the reason why it cannot be read. */
  readonly version: string
  /** The content, if it has changed. */
  readonly text?: string
  readonly error?: string
}

function readIfChanged(path: string, lastVersion: string): FileState {
  try {
    // A change of permissions changes only ctime, and a copy can keep the mtime of its source.
    const { dev, ino, size, mtimeMs, ctimeMs } = statSync(path)
    const version = [dev, ino, size, mtimeMs, ctimeMs].join()
    return version === lastVersion ? { version } : { version, text: readFileSync(path, 'utf8') }
  } catch (cause) {
    // The reason is the version, so that the next lookup reads the file once it is readable again, even if
    // the file itself has not changed.
    const error = `it cannot be read (${errorMessage(cause)})`
    return { version: error, error }
  }
}
