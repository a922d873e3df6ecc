// The port of stored registry credentials.

/**
 * Tells the credentials for a registry, such as those of a Docker `config.json`.
 *
 * @param domain The registry's host and optional port: `docker.io`, `localhost:5000`.
 * @returns As {@link RegistryCredentials.registryAuth}; undefined where there are none.
 */
export type RegistryAuthStore = (domain: string) => string | undefined
