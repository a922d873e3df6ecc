// The port of stored registry credentials.

import { DeployerError, isRequestError } from '../errors.ts'

/**
 * Returns the credentials for a registry, such as those of a Docker `config.json`. It is called for each
 * deployment, so that it can return a token that expires (Amazon ECR, Google Artifact Registry). When it
 * throws or rejects, nothing is deployed, and the caller gets `internal-error`, or what was thrown where
 * that is a `DeployerError` of the engine, a registry or Deployer, such as `registry-unavailable`.
 *
 * @param domain The registry's host and optional port: `docker.io`, `localhost:5000`.
 * @returns As {@link RegistryCredentials.registryAuth}; undefined where there are none.
 */
export type RegistryAuthStore = (domain: string) => string | undefined | Promise<string | undefined>

/**
 * Reads the credentials for a registry.
 *
 * @param store The store, as an embedder wrote it.
 * @param domain The registry's host and optional port.
 * @returns The credentials; undefined where there are none. Secret.
 * @throws DeployerError `internal-error` when the store fails or returns no string. The error's message
 *   has nothing of what was thrown; its cause does, for the log.
 */
export async function readStoredAuth(
  store: RegistryAuthStore,
  domain: string,
): Promise<string | undefined> {
  let stored: unknown
  try {
    stored = await store(domain)
  } catch (thrown) {
    if (thrown instanceof DeployerError && !isRequestError(thrown)) {
      throw thrown
    }
    throw storeFailed(domain, thrown instanceof Error ? thrown : new Error(String(thrown)))
  }
  if (stored !== undefined && typeof stored !== 'string') {
    throw storeFailed(domain, new TypeError(`registryAuth returned ${typeof stored}, not a string`))
  }
  return stored
}

function storeFailed(domain: string, cause: Error): DeployerError {
  const message = `Cannot get the credentials for the registry ${domain}: the function registryAuth failed; see Deployer's log`
  return new DeployerError('internal-error', message, { cause })
}
