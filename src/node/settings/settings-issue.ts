// Problems that are found in settings. They are collected, so that all of them are reported together.

/** A setting that cannot be used, or one that is probably a mistake. */
export interface SettingsIssue {
  /** The variable, or the part of it, such as `NOTIFY_FLAGS[1].events`. */
  readonly setting: string
  /** What is wrong and what to do, as the rest of a sentence; never the value of a secret. */
  readonly reason: string
}

/** Collects the issues of all settings. */
export interface SettingsIssues {
  /** Settings that cannot be used: Deployer does not start. */
  readonly errors: readonly SettingsIssue[]
  /** Settings that can be used and are probably mistakes. */
  readonly warnings: readonly SettingsIssue[]
  /** Adds an error. Returns undefined, the value of a setting that cannot be used. */
  error(setting: string, reason: string): undefined
  /** Adds a warning. */
  warn(setting: string, reason: string): void
}

/**
 * Creates an empty collection of issues.
 *
 * @returns The collection.
 */
export function createSettingsIssues(): SettingsIssues {
  const errors: SettingsIssue[] = []
  const warnings: SettingsIssue[] = []
  return {
    errors,
    warnings,
    error(setting, reason) {
      errors.push({ setting, reason })
      return undefined
    },
    warn(setting, reason) {
      warnings.push({ setting, reason })
    },
  }
}

/** Possible user and password: everything before the last `@` except the scheme. A path has none. */
const USERINFO = /^(?!\/(?!\/))([a-z][a-z0-9+.-]*:\/\/)?.*(?:@|%40)/is

/**
 * Hides the credentials of a URL or an address.
 *
 * @param text Such as `tcp://user:password@host:1` or `user:password@host:1`.
 * @returns The text with `***` in place of the credentials, such as `tcp://***@host:1`.
 */
export function withoutUserinfo(text: string): string {
  return text.replace(USERINFO, (_, scheme: string = '') => `${scheme}***@`)
}

/**
 * Formats a value for a message.
 *
 * @param value Any JSON value, or undefined.
 * @returns Its JSON, without credentials and shortened; `missing` for undefined.
 */
export function shown(value: unknown): string {
  if (value === undefined) {
    return 'missing'
  }
  const text = JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'string' ? withoutUserinfo(part) : part,
  )
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
