// Credentials for registries from a Docker `config.json`, which is read again when it changes.

import { readFileSync, statSync } from 'node:fs'
import { errorMessage } from '../../text/error-message.ts'
import { shown } from '../settings/settings-issue.ts'
import { findRegistryAuth, parseRegistryAuths, type RegistryAuths } from './registry-auths.ts'

/** How {@link createRegistryAuthFile} tells of trouble. */
export interface RegistryAuthFileOptions {
  /** Is told once when a changed file cannot be used; the message holds no secret. */
  readonly onFault: (message: string) => void
}

/**
 * Looks credentials up in a Docker `config.json`. Each look-up asks the file system whether the
 * file is another one by now, so that new passwords need no restart. While it cannot be used, the
 * credentials that were read last stay in use.
 *
 * @param path The file.
 * @param options Who is told of a file that has become unusable.
 * @returns The store. It throws nothing.
 * @throws TypeError when the file cannot be used right away.
 * @example
 * ```ts
 * const registryAuth = createRegistryAuthFile('/run/secrets/docker-config', {
 *   onFault: (message) => console.error(message),
 * })
 * const app = createDeployer({ token, swarm, registryAuth })
 * ```
 */
export function createRegistryAuthFile(
  path: string,
  { onFault }: RegistryAuthFileOptions,
): (domain: string) => string | undefined {
  let auths: RegistryAuths = new Map()
  // What was seen last: which file it was, or why none could be read.
  let seen = ''
  const look = (): string | undefined => {
    const { sight, text, fault } = readUnlessSeen(path, seen)
    if (sight === seen) {
      return undefined
    }
    seen = sight
    const result = text === undefined ? undefined : parseRegistryAuths(text)
    auths = result?.ok ? result.auths : auths
    return result?.ok === false ? result.faults.join('; ') : fault
  }

  const atStart = look()
  if (atStart !== undefined) {
    throw new TypeError(`Cannot use the registry credentials in ${shown(path)}: ${atStart}`)
  }
  return function registryAuthOf(domain) {
    const fault = look()
    if (fault !== undefined) {
      onFault(
        `Cannot read the registry credentials in ${shown(path)} again, so the last good ones stay in use: ${fault}`,
      )
    }
    return findRegistryAuth(auths, domain)
  }
}

interface Sighting {
  readonly sight: string
  readonly text?: string
  readonly fault?: string
}

function readUnlessSeen(path: string, seen: string): Sighting {
  try {
    // A change of rights alone moves only ctime, and a copy may keep its mtime.
    const { dev, ino, size, mtimeMs, ctimeMs } = statSync(path)
    const sight = [dev, ino, size, mtimeMs, ctimeMs].join()
    return sight === seen ? { sight } : { sight, text: readFileSync(path, 'utf8') }
  } catch (error) {
    // The reason is the sight, so the next look tries again: the file may not change for it to work.
    const fault = `it cannot be read (${errorMessage(error)})`
    return { sight: fault, fault }
  }
}
