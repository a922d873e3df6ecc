// The credentials in a Docker `config.json`: pure, from its text to what `X-Registry-Auth` takes.

import { shown } from '../settings/settings-issue.ts'

/** One registry's credentials, under the names of Docker's `AuthConfig`. Secret. */
export interface RegistryAuth {
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
  readonly registrytoken?: string
}

/** The entries that hold credentials, by their keys and in the order of the file. */
export type RegistryAuths = ReadonlyMap<string, RegistryAuth>

/** Either the credentials, or everything that is wrong with the file, without a word of it. */
export type RegistryAuthsResult =
  | { readonly ok: true; readonly auths: RegistryAuths }
  | { readonly ok: false; readonly faults: readonly string[] }

const DOCKER_HUB = 'https://index.docker.io/v1/'
const REMEDY = 'it must be a Docker config.json with "auths", as "docker login" writes it'
const MEMBERS = ['auth', 'username', 'password', 'identitytoken', 'registrytoken'] as const

/**
 * Reads a Docker `config.json`.
 *
 * @param text The file's text.
 * @returns Its credentials, or every fault. Entries without credentials, as a credential helper
 *   leaves them, are passed over.
 */
export function parseRegistryAuths(text: string): RegistryAuthsResult {
  const config = parseObject(text)
  if (config === undefined) {
    return { ok: false, faults: [`it is not a JSON object: ${REMEDY}`] }
  }
  const faults: string[] = []
  const auths = new Map<string, RegistryAuth>()
  const entries = membersOf(config.get('auths') ?? {})
  if (entries === undefined) {
    faults.push(`its "auths" is not a JSON object: ${REMEDY}`)
  }
  for (const [key, entry] of entries ?? []) {
    const auth = readEntry(entry)
    if (typeof auth === 'string') {
      faults.push(`its entry ${shownKey(key)} ${auth}`)
    } else if (auth.username || auth.identitytoken || auth.registrytoken) {
      auths.set(key, auth)
    }
  }
  if (faults.length === 0 && auths.size === 0) {
    faults.push(...faultOfNone(config))
  }
  return faults.length === 0 ? { ok: true, auths } : { ok: false, faults }
}

/**
 * Finds the credentials for a registry, as Docker's command line does: the entry of its very name,
 * else the first one whose URL has it as host.
 *
 * @param auths What {@link parseRegistryAuths} read.
 * @param domain The registry's host and optional port, such as `docker.io`.
 * @returns What goes into `X-Registry-Auth`; undefined when there are none. Secret.
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
  // Older engines with the containerd image store take `docker.io` for another host than Docker
  // Hub's, and would pull without credentials.
  const serveraddress = isHub ? DOCKER_HUB : key
  const json = { username, password, serveraddress, identitytoken, registrytoken }
  return base64url(JSON.stringify(json))
}

function parseObject(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    return membersOf(JSON.parse(text))
  } catch {
    // V8 quotes the text in its message.
    return undefined
  }
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? new Map(Object.entries(value)) : undefined
}

/** Reads an entry of `auths`, or says what is wrong with it. */
function readEntry(entry: unknown): RegistryAuth | string {
  const members = membersOf(entry ?? {})
  if (members === undefined) {
    return 'is not a JSON object: log in again'
  }
  const wrong = MEMBERS.find((name) => typeof (members.get(name) ?? '') !== 'string')
  if (wrong !== undefined) {
    return `has a member ${shown(wrong)} that is not a string: log in again`
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

/** `decodeAuth` of docker/cli, which takes NULs from the password's ends too. */
function decodeAuth(auth: string): User | undefined {
  const base64 = auth.replace(/[\r\n]/g, '')
  const bytes = Buffer.from(base64, 'base64')
  const text = bytes.toString('utf8')
  // Neither of the two decoders ever complains; what they could not read does not come back.
  const isExact = bytes.toString('base64') === base64 && Buffer.from(text).equals(bytes)
  const colon = text.indexOf(':')
  return isExact && colon > 0
    ? { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/^\0+|\0+$/g, '') }
    : undefined
}

function withoutEmpty(auth: Required<RegistryAuth>): RegistryAuth {
  return Object.fromEntries(Object.entries(auth).filter(([, value]) => value !== ''))
}

function faultOfNone(config: ReadonlyMap<string, unknown>): readonly string[] {
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

/** Where `docker login` by browser keeps what only Docker's own programs can use. */
function isTokenCache(key: string): boolean {
  return key === `${DOCKER_HUB}access-token` || key === `${DOCKER_HUB}refresh-token`
}

/** A registry's name is no secret; what stands before an `@` would be. */
function shownKey(key: string): string {
  return shown(key.replace(/^.*@/s, ''))
}

/** Go's `base64.URLEncoding`, which pads; Node's `base64url` does not. */
function base64url(text: string): string {
  return Buffer.from(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}
