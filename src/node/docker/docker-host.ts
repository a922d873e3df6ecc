// Parses the address of a Docker daemon in the format of `DOCKER_HOST`.

import { type Address, parseAddress } from '../settings/address.ts'

/** Address of a daemon: a local socket, a TCP port, or a machine that accepts ssh. */
export type DockerHost =
  | { readonly kind: 'unix'; readonly socketPath: string }
  | ({ readonly kind: 'tcp' } & Address)
  | { readonly kind: 'ssh'; readonly user: string; readonly host: string; readonly port: string }

const SSH =
  /^(?:(?<user>[^\s@:/-][^\s@:/]*)@)?(?<host>[^\s@:/[\]-][^\s@:/[\]]*)(?::(?<port>[0-9]{1,5}))?\/?$/
const DEFAULT_PORT = { plain: 2375, tls: 2376 }

/** The formats of `DOCKER_HOST`, for messages. */
export const DOCKER_HOST_FORMS = 'unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host'

/**
 * Parses a `DOCKER_HOST`.
 *
 * @param text The value.
 * @param isTls Whether TLS is used; it determines the default port of `tcp://`.
 * @returns The address; undefined if the text has none of the {@link DOCKER_HOST_FORMS}.
 */
export function parseDockerHost(text: string, isTls: boolean): DockerHost | undefined {
  const [, scheme, rest = ''] = /^(unix|tcp|ssh):\/\/(.*)$/s.exec(text) ?? []
  switch (scheme) {
    case 'unix':
      return rest.startsWith('/') ? { kind: 'unix', socketPath: rest } : undefined
    case 'tcp':
      return parseTcp(rest.replace(/\/$/, ''), isTls ? DEFAULT_PORT.tls : DEFAULT_PORT.plain)
    case 'ssh':
      return parseSsh(rest)
    default:
      return undefined
  }
}

function parseTcp(text: string, defaultPort: number): DockerHost | undefined {
  const address = parseAddress(text) ?? parseAddress(`${text}:${defaultPort}`)
  return address === undefined || address.host === '' ? undefined : { kind: 'tcp', ...address }
}

/** The pattern refuses a user or host that begins with `-`, which ssh would take for an option. */
function parseSsh(text: string): DockerHost | undefined {
  const groups = SSH.exec(text)?.groups
  return groups === undefined
    ? undefined
    : { kind: 'ssh', user: groups.user ?? '', host: groups.host ?? '', port: groups.port ?? '' }
}
