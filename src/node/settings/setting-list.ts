// All settings by name, with their flags and defaults. The help and the code read the same list.

/** The name of a setting, which is the name of its environment variable. */
export type SettingName =
  | 'TOKEN'
  | 'TOKEN_FILE'
  | 'DOCKER_HOST'
  | 'DOCKER_TLS_VERIFY'
  | 'DOCKER_CERT_PATH'
  | 'NOTIFY_FLAGS'
  | 'NOTIFY_FLAGS_FILE'
  | 'SPOOL_DIR'
  | 'BIND'
  | 'BASE_PATH'
  | 'REGISTRY_AUTH_FILE'
  | 'RESOLVE_IMAGE'
  | 'FOREIGN_REGISTRY'
  | 'ROLLOUT_TIMEOUT'
  | 'EVIDENCE_LOGS'
  | 'HISTORY'

/** How a setting is described in the help. */
export interface SettingDescription {
  /** The flag with its placeholder, for settings that have one. */
  readonly flag?: string
  /** What the setting is, without a full stop. */
  readonly summary: string
  /** The value of a setting that is not set. */
  readonly default?: string
  /** What applies if the setting is not set, for settings without a default value. */
  readonly unset?: string
}

/** All settings, in the order of the help. */
export const SETTINGS: Readonly<Record<SettingName, SettingDescription>> = {
  TOKEN: {
    flag: '--token <secret>',
    summary: 'the secret that callers send in the Authorization header',
    unset: 'required unless TOKEN_FILE is set',
  },
  TOKEN_FILE: {
    flag: '--token-file <path>',
    summary: 'a file that contains the token, such as a Docker secret',
    unset: 'default: none',
  },
  DOCKER_HOST: {
    flag: '--docker-host <url>',
    summary: 'a swarm manager: unix://, tcp:// or ssh://',
    default: 'unix:///var/run/docker.sock',
  },
  NOTIFY_FLAGS: {
    flag: '--notify-flags <json>',
    summary: 'destinations of notifications',
    unset: 'default: no notifications',
  },
  BIND: {
    flag: '--bind <address>',
    summary: 'the address to listen at: :9999, 127.0.0.1:9999 or [::1]:9999',
    default: ':9999',
  },
  DOCKER_TLS_VERIFY: {
    summary: 'any value: use TLS for tcp://',
    unset: 'default: only with DOCKER_CERT_PATH',
  },
  DOCKER_CERT_PATH: {
    summary: 'a directory with ca.pem, cert.pem and key.pem for TLS',
    unset: 'default: ~/.docker',
  },
  NOTIFY_FLAGS_FILE: {
    summary: 'a file that contains NOTIFY_FLAGS, such as a Docker secret',
    unset: 'default: none',
  },
  SPOOL_DIR: {
    summary: 'a directory that keeps undelivered messages over a restart',
    unset: 'default: memory only',
  },
  BASE_PATH: {
    summary: 'the path prefix that a reverse proxy strips, such as /cd',
    unset: 'default: none',
  },
  REGISTRY_AUTH_FILE: {
    summary: 'a Docker config.json with credentials for registries',
    unset: 'default: none',
  },
  RESOLVE_IMAGE: {
    summary: 'whether a tag is pinned to its digest: auto, require or never',
    default: 'auto',
  },
  FOREIGN_REGISTRY: {
    summary: 'credentials stored for another registry: clear or keep',
    default: 'clear',
  },
  ROLLOUT_TIMEOUT: {
    summary: 'how long a rollout may take, from 1s to 24h',
    default: '30m',
  },
  EVIDENCE_LOGS: {
    summary: 'whether responses show log lines of failed tasks: true or false',
    default: 'true',
  },
  HISTORY: {
    summary: 'where the history of each service is kept: config, label or off',
    default: 'config',
  },
}

/** The settings that have a flag. A flag takes precedence over its environment variable. */
export type Flags = Readonly<Partial<Record<SettingName, string>>>

/**
 * Formats the description of a setting for the help.
 *
 * @param name The setting.
 * @returns The summary and the default.
 */
export function describeSetting(name: SettingName): string {
  const { summary, default: value, unset } = SETTINGS[name]
  return `${summary} (${value === undefined ? unset : `default: ${value}`})`
}

/**
 * Lists the names of all settings.
 *
 * @returns The names, in the order of the help.
 */
export function settingNames(): readonly SettingName[] {
  return Object.keys(SETTINGS).filter((name): name is SettingName => name in SETTINGS)
}
