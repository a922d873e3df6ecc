// How settings that are wrong are told: every fault is collected, and values are shown shortened.

/** Notes that a variable is wrong. Returns undefined, as the value that the variable has not. */
export type SettingsIssue = (variable: string, what: string) => undefined

/** Notes that a setting can be used and is probably a mistake. */
export type Warn = (setting: string, reason: string) => void

/** A setting that can be used and is probably a mistake. */
export interface SettingsWarning {
  /** The variable, or the part of it, such as `NOTIFY_FLAGS[1]`. */
  readonly setting: string
  /** What is probably wrong, without the value of a secret. */
  readonly reason: string
}

/** Takes what a reader of settings finds. */
export interface Findings {
  readonly fault: SettingsIssue
  readonly warn: Warn
}

/** What may be user and password: all before the last `@` but the scheme. A path has none. */
const USERINFO = /^(?!\/(?!\/))([a-z][a-z0-9+.-]*:\/\/)?.*(?:@|%40)/is

/**
 * Hides the credentials of a URL or an address.
 *
 * @param text Such as `tcp://user:password@host:1` or `user:password@host:1`.
 * @returns The text with `***` for what stands before the `@`, such as `tcp://***@host:1`.
 */
export function withoutUserinfo(text: string): string {
  return text.replace(USERINFO, (_, scheme: string = '') => `${scheme}***@`)
}

/**
 * Shows a value in a message.
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
