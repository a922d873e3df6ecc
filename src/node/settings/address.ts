// Network addresses in settings: `host:port`, `:port` and `[::1]:port`.

/** A host and a port. */
export interface Address {
  /** Without brackets; empty if the text began with the colon. */
  readonly host: string
  readonly port: number
}

const ADDRESS = /^(?:\[(?<ipv6>[0-9A-Fa-f:.%]+)\]|(?<host>[^\s:/[\]@]*)):(?<port>[0-9]{1,5})$/

/**
 * Parses an address.
 *
 * @param text Such as `:9999`, `127.0.0.1:9999`, `[::1]:9999` or `beanstalkd:11300`.
 * @returns Its parts; undefined if the text is not an address or the port is above 65535.
 */
export function parseAddress(text: string): Address | undefined {
  const groups = ADDRESS.exec(text)?.groups
  const port = Number(groups?.port)
  return groups === undefined || port > 65_535
    ? undefined
    : { host: groups.ipv6 ?? groups.host ?? '', port }
}

/**
 * Formats an address.
 *
 * @param address Host and port.
 * @returns The text that {@link parseAddress} parses to the same address, with IPv6 hosts in brackets.
 */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
