// Settings from environment variables and command-line flags, with every fault told at once.

import { parseGoTemplate } from '../go-template.ts'
import { messageFields } from '../messages.ts'
import { type Address, parseAddress } from './address.ts'
import { DOCKER_HOST_FORMS, parseDockerHost } from './docker-host.ts'
import type { DockerTls } from './modem.ts'

/** What Deployer runs with. */
export interface Settings {
  readonly token: string
  readonly dockerHost: string
  readonly tls?: DockerTls
  readonly bind: Address
  /** Missing when nobody is to be notified. */
  readonly notify?: NotifySettings
}

/** Where messages go, and what they say. */
export interface NotifySettings {
  readonly addr: string
  readonly tube: string
  /** The template's text, decoded. */
  readonly template: string
  readonly priority: number
  /** Seconds. */
  readonly delay: number
  /** Seconds. */
  readonly ttr: number
}

/** The command line's flags by their variables' names; a flag wins over its variable. */
export interface Flags {
  readonly TOKEN?: string
  readonly DOCKER_HOST?: string
  readonly NOTIFY_FLAGS?: string
  readonly BIND?: string
}

/** Either settings that hold, or everything that is wrong with them, a line each. */
export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly faults: readonly string[] }

/** What {@link readSettings} reads beside the flags. */
export interface SettingsSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads a text file, or throws. */
  readonly readFile: (path: string) => string
}

type Fault = (variable: string, what: string) => undefined

const MAX_UINT32 = 4_294_967_295
const TUBE = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const NOTIFY_EXAMPLE = '{"addr":"beanstalkd:11300","tube":"chat","template":"<base64>"}'

/**
 * Reads and checks all settings.
 *
 * @param flags What the command line gave.
 * @param sources The environment, and how to read certificate files. An empty variable counts as
 *   none.
 * @returns The settings, or every fault: the variable, what is wrong, what would be right; never
 *   the value of a secret.
 */
export function readSettings(flags: Flags, sources: SettingsSources): SettingsResult {
  const faults: string[] = []
  const fault: Fault = (variable, what) => {
    faults.push(`${variable} ${what}`)
  }
  const value = (name: keyof Flags): string => flags[name] ?? sources.env[name] ?? ''

  const token = readToken(value('TOKEN'), fault)
  const tls = readTls(value('DOCKER_HOST'), sources, fault)
  const dockerHost = readDockerHost(value('DOCKER_HOST'), tls !== undefined, fault)
  const notify = readNotifyFlags(value('NOTIFY_FLAGS'), fault)
  const bind = readBind(value('BIND'), fault)

  if (token === undefined || dockerHost === undefined || bind === undefined || faults.length > 0) {
    return { ok: false, faults }
  }
  const settings = {
    token,
    dockerHost,
    bind,
    ...(tls === undefined ? {} : { tls }),
    ...(notify === undefined ? {} : { notify }),
  }
  return { ok: true, settings }
}

function readToken(text: string, fault: Fault): string | undefined {
  if (text === '') {
    return fault('TOKEN', 'is not set: set it (or --token) to the secret that callers must send')
  }
  // RFC 9110 section 5.5: a header's value holds no control characters, and its ends are trimmed.
  return /[\p{Cc}]|^\s|\s$/u.test(text)
    ? fault(
        'TOKEN',
        'can never match: no header can hold a line break, another control character or white space at an end; remove it',
      )
    : text
}

function readDockerHost(text: string, isTls: boolean, fault: Fault): string | undefined {
  const dockerHost = text === '' ? 'unix:///var/run/docker.sock' : text
  return parseDockerHost(dockerHost, isTls) === undefined
    ? fault('DOCKER_HOST', `is ${quoted(text)}: it must be like ${DOCKER_HOST_FORMS}`)
    : dockerHost
}

/**
 * As Docker's Go client: TLS where there is a certificate path. Unlike it, the daemon's certificate
 * is verified even without `DOCKER_TLS_VERIFY`, and that variable alone means `~/.docker`, as it
 * does for Docker's command line.
 */
function readTls(
  dockerHost: string,
  { env, readFile }: SettingsSources,
  fault: Fault,
): DockerTls | undefined {
  const isWanted = Boolean(env.DOCKER_TLS_VERIFY || env.DOCKER_CERT_PATH)
  if (!isWanted || !dockerHost.startsWith('tcp://')) {
    return undefined
  }
  const directory = env.DOCKER_CERT_PATH || `${env.HOME ?? ''}/.docker`
  const read = (name: string): string => {
    try {
      return readFile(`${directory}/${name}`)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      fault(
        'DOCKER_CERT_PATH',
        `is ${quoted(directory)}, but ${name} cannot be read (${reason}): put ca.pem, cert.pem and key.pem there`,
      )
      return ''
    }
  }
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }
}

function readBind(text: string, fault: Fault): Address | undefined {
  return (
    parseAddress(text === '' ? ':9999' : text) ??
    fault('BIND', `is ${quoted(text)}: it must be like :9999, 127.0.0.1:9999 or [::1]:9999`)
  )
}

function readNotifyFlags(text: string, fault: Fault): NotifySettings | undefined {
  if (text === '') {
    return undefined
  }
  let flags: unknown
  try {
    flags = JSON.parse(text)
  } catch {
    return fault('NOTIFY_FLAGS', `is not JSON: it must be like ${NOTIFY_EXAMPLE}`)
  }
  if (typeof flags !== 'object' || flags === null || Array.isArray(flags)) {
    return fault('NOTIFY_FLAGS', `is not a JSON object: it must be like ${NOTIFY_EXAMPLE}`)
  }
  return readNotifyObject(new Map(Object.entries(flags)), fault)
}

function readNotifyObject(
  flags: ReadonlyMap<string, unknown>,
  fault: Fault,
): NotifySettings | undefined {
  const addr = readAddr(flags.get('addr'), fault)
  const tube = readTube(flags.get('tube'), fault)
  const template = readTemplate(flags.get('template'), fault)
  const priority = readNumber(
    { key: 'priority', from: 0, value: flags.get('priority') ?? 10 },
    fault,
  )
  const delay = readNumber({ key: 'delay', from: 0, value: flags.get('delay') ?? 0 }, fault)
  const ttr = readNumber({ key: 'ttr', from: 1, value: flags.get('ttr') ?? 60 }, fault)
  return addr === undefined ||
    tube === undefined ||
    template === undefined ||
    priority === undefined ||
    delay === undefined ||
    ttr === undefined
    ? undefined
    : { addr, tube, template, priority, delay, ttr }
}

function readAddr(value: unknown, fault: Fault): string | undefined {
  const address = typeof value === 'string' ? parseAddress(value) : undefined
  return typeof value !== 'string' || address === undefined || address.host === ''
    ? fault(
        'NOTIFY_FLAGS.addr',
        `is ${shown(value)}: it must be host:port, such as beanstalkd:11300`,
      )
    : value
}

/** The protocol's grammar of names, and its limit of 200 bytes. */
function readTube(value: unknown, fault: Fault): string | undefined {
  return typeof value === 'string' && TUBE.test(value)
    ? value
    : fault(
        'NOTIFY_FLAGS.tube',
        `is ${shown(value)}: it must be 1 to 200 letters, digits and -+/;.$_(), not starting with -`,
      )
}

function readTemplate(value: unknown, fault: Fault): string | undefined {
  // Go's decoder passes over line breaks too, which `base64` puts into long texts.
  const base64 = typeof value === 'string' ? value.replace(/[\r\n]/g, '') : undefined
  if (base64 === undefined || !BASE64.test(base64)) {
    return fault('NOTIFY_FLAGS.template', 'is not base64: encode the message with "base64 -w0"')
  }
  try {
    // Go passes bytes through that are no UTF-8; JavaScript's strings cannot, so they are refused.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const template = decoder.decode(Buffer.from(base64, 'base64'))
    parseGoTemplate(template, { fields: messageFields })
    return template
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return fault('NOTIFY_FLAGS.template', `cannot be used once decoded: ${reason}`)
  }
}

function readNumber(
  { key, from, value }: { key: string; from: number; value: unknown },
  fault: Fault,
): number | undefined {
  return typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= from &&
    value <= MAX_UINT32
    ? value
    : fault(
        `NOTIFY_FLAGS.${key}`,
        `is ${shown(value)}: it must be a whole number from ${from} to ${MAX_UINT32}`,
      )
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : quoted(value)
}

function quoted(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
