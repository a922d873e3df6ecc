// Where a Docker daemon listens, as `DOCKER_HOST` says it.

import { type Address, parseAddress } from '../settings/address.ts'

/** A daemon's address: a socket of this machine, a TCP port, or a machine that `ssh` reaches. */
export type DockerHost =
  | { readonly kind: 'unix'; readonly socketPath: string }
  | ({ readonly kind: 'tcp' } & Address)
  | { readonly kind: 'ssh'; readonly user: string; readonly host: string; readonly port: string }

const SSH =
  /^(?:(?<user>[^\s@:/-][^\s@:/]*)@)?(?<host>[^\s@:/[\]-][^\s@:/[\]]*)(?::(?<port>[0-9]{1,5}))?\/?$/
const DEFAULT_PORT = { plain: 2375, tls: 2376 }

/** What `DOCKER_HOST` may be, for messages. */
export const DOCKER_HOST_FORMS = 'unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host'

/**
 * Reads a `DOCKER_HOST`.
 *
 * @param text Its value.
 * @param isTls Whether TLS is used, which sets the default port of `tcp://`.
 * @returns The daemon's address, or undefined when the text is none of {@link DOCKER_HOST_FORMS}.
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

/** A user or host that begins with `-` would be an option to ssh, and is refused by the pattern. */
function parseSsh(text: string): DockerHost | undefined {
  const groups = SSH.exec(text)?.groups
  return groups === undefined
    ? undefined
    : { kind: 'ssh', user: groups.user ?? '', host: groups.host ?? '', port: groups.port ?? '' }
}
