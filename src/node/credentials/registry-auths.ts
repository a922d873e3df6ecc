// Pure: parses the credentials in a Docker `config.json`, and encodes them for `X-Registry-Auth`.

import { shown } from '../settings/settings-issue.ts'

/** The credentials for one registry, with the member names of Docker's `AuthConfig`. Secret. */
export interface RegistryAuth {
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
  readonly registrytoken?: string
}

/** The entries that contain credentials, by their keys and in the order of the file. */
export type RegistryAuths = ReadonlyMap<string, RegistryAuth>

/** Either the credentials, or all errors, without text of the file. */
export type RegistryAuthsResult =
  | { readonly ok: true; readonly auths: RegistryAuths }
  | { readonly ok: false; readonly errors: readonly string[] }

const DOCKER_HUB = 'https://index.docker.io/v1/'
const REMEDY = 'it must be a Docker config.json with "auths", as "docker login" writes it'
const MEMBERS = ['auth', 'username', 'password', 'identitytoken', 'registrytoken'] as const

/**
 * Parses a Docker `config.json`.
 *
 * @param text The text of the file.
 * @returns The credentials or the errors. Entries without credentials, as a credential helper writes
 *   them, are ignored.
 */
export function parseRegistryAuths(text: string): RegistryAuthsResult {
  const config = parseObject(text)
  if (config === undefined) {
    return { ok: false, errors: [`it is not a JSON object: ${REMEDY}`] }
  }
  const errors: string[] = []
  const auths = new Map<string, RegistryAuth>()
  const entries = membersOf(config.get('auths') ?? {})
  if (entries === undefined) {
    errors.push(`its "auths" is not a JSON object: ${REMEDY}`)
  }
  for (const [key, entry] of entries ?? []) {
    const auth = readEntry(entry)
    if (typeof auth === 'string') {
      errors.push(`its entry ${shownKey(key)} ${auth}`)
    } else if (auth.username || auth.identitytoken || auth.registrytoken) {
      auths.set(key, auth)
    }
  }
  if (errors.length === 0 && auths.size === 0) {
    errors.push(...errorsWithoutCredentials(config))
  }
  return errors.length === 0 ? { ok: true, auths } : { ok: false, errors }
}

/**
 * Finds the credentials for a registry, as Docker's command line does: the entry with exactly its name, or
 * else the first entry whose URL has it as host.
 *
 * @param auths The result of {@link parseRegistryAuths}.
 * @param domain The host of the registry and optionally its port, such as `docker.io`.
 * @returns The value of the header `X-Registry-Auth`; undefined if there are no credentials. Secret.
 */
export function findRegistryAuth(auths: RegistryAuths, domain: string): string | undefined {
  const isHub = domain === 'docker.io'
  const names = isHub ? [DOCKER_HUB, 'docker.io', 'index.docker.io'] : [domain]
  const key =
    names.find((name) => auths.has(name)) ??
    [...auths.keys()].find((key) => names.includes(hostOf(key)) && !isTokenCache(key))
  const auth = key === undefined ? undefined : auths.get(key)
  if (auth === undefined || domain === '') {
    return undefined
  }
  const { username, password, identitytoken, registrytoken } = auth
  // Older engines with the containerd image store do not recognise `docker.io` as Docker Hub, and would
  // pull without credentials.
  const serveraddress = isHub ? DOCKER_HUB : key
  const json = { username, password, serveraddress, identitytoken, registrytoken }
  return base64url(JSON.stringify(json))
}

function parseObject(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    return membersOf(JSON.parse(text))
  } catch {
    // The error is not used, because its message quotes the text.
    return undefined
  }
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? new Map(Object.entries(value)) : undefined
}

/** Returns the credentials in an entry of `auths`, or an error message. */
function readEntry(entry: unknown): RegistryAuth | string {
  const members = membersOf(entry ?? {})
  if (members === undefined) {
    return 'is not a JSON object: log in again'
  }
  const invalid = MEMBERS.find((name) => typeof (members.get(name) ?? '') !== 'string')
  if (invalid !== undefined) {
    return `has a member ${shown(invalid)} that is not a string: log in again`
  }
  const text = (name: (typeof MEMBERS)[number]): string => String(members.get(name) ?? '')
  const user =
    text('auth') === ''
      ? { username: text('username'), password: text('password') }
      : decodeAuth(text('auth'))
  if (user === undefined) {
    return 'has an "auth" that is not base64 of user:password: log in again'
  }
  const identitytoken = text('identitytoken')
  return withoutEmpty({
    username: user.username,
    password: identitytoken === '' ? user.password : '',
    identitytoken,
    registrytoken: text('registrytoken'),
  })
}

interface User {
  readonly username: string
  readonly password: string
}

/** Like `decodeAuth` of docker/cli, which also removes NULs at both ends of the password. */
function decodeAuth(auth: string): User | undefined {
  const base64 = auth.replace(/[\r\n]/g, '')
  const bytes = Buffer.from(base64, 'base64')
  const text = bytes.toString('utf8')
  // Neither decoder reports invalid input, so the result is encoded again and compared.
  const isExact = bytes.toString('base64') === base64 && Buffer.from(text).equals(bytes)
  const colon = text.indexOf(':')
  return isExact && colon > 0
    ? { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/^\0+|\0+$/g, '') }
    : undefined
}

function withoutEmpty(auth: Required<RegistryAuth>): RegistryAuth {
  return Object.fromEntries(Object.entries(auth).filter(([, value]) => value !== ''))
}

function errorsWithoutCredentials(config: ReadonlyMap<string, unknown>): readonly string[] {
  const helper = ['credsStore', 'credHelpers'].find((name) => {
    const value = config.get(name)
    return typeof value === 'string' ? value !== '' : membersOf(value)?.size
  })
  if (helper !== undefined) {
    return [
      `its passwords are in a credential helper (${helper}), which Deployer does not run: give the registry an entry in "auths" whose "auth" is base64 of user:password`,
    ]
  }
  return config.has('auths') ? [] : [`it has no "auths": ${REMEDY}`]
}

/** `ConvertToHostname` of docker/cli. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/s, '')
}

/** Entries of `docker login` by browser, which only Docker's own programs can use. */
function isTokenCache(key: string): boolean {
  return key === `${DOCKER_HUB}access-token` || key === `${DOCKER_HUB}refresh-token`
}

/** The name of a registry is not secret, but text before an `@` is. */
function shownKey(key: string): string {
  return shown(key.replace(/^.*@/s, ''))
}

/** Like Go's `base64.URLEncoding`, with padding, which Node's `base64url` does not add. */
function base64url(text: string): string {
  return Buffer.from(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}
