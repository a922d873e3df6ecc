// Where the readers of single settings get values and files from.

import { errorMessage } from '../../text/error-message.ts'
import { type Flags, SETTINGS, type SettingName } from './setting-list.ts'
import { type SettingsIssues, shown } from './settings-issue.ts'

/** The parts of the environment and the file system that settings use. */
export interface SettingsSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads a text file. Throws if that fails. */
  readonly readFile: (path: string) => string
}

/** What a reader of a setting uses. */
export interface SettingSource {
  readonly issues: SettingsIssues
  /** Returns the home directory of the user; empty if unknown. */
  home(): string
  /**
   * Returns the value of a setting: of its flag, or else of its environment variable, or else its
   * default. An empty value counts as not set.
   */
  value(name: SettingName): string
  /** Reads a text file. Throws if that fails. */
  readFile(path: string): string
}

/**
 * Creates the source of all settings.
 *
 * @param flags The flags of the command line.
 * @param sources The environment and the file system, and where issues are collected.
 * @returns The source.
 */
export function createSettingSource(
  flags: Flags,
  { env, readFile, issues }: SettingsSources & { readonly issues: SettingsIssues },
): SettingSource {
  return {
    issues,
    home: () => env.HOME ?? '',
    value: (name) => (flags[name] ?? env[name]) || (SETTINGS[name].default ?? ''),
    readFile,
  }
}

/**
 * Reads the file that a setting names. An error shows the path, never the content.
 *
 * @param name The setting.
 * @param source The source of the settings.
 * @returns The text; undefined, with an error among the issues, if the file cannot be read.
 */
export function readSettingFile(
  name: SettingName,
  { value, readFile, issues }: SettingSource,
): string | undefined {
  const path = value(name)
  try {
    return readFile(path)
  } catch (error) {
    return issues.error(
      name,
      `is ${shown(path)}, but it cannot be read (${errorMessage(error)}): set the path of a file that Deployer may read`,
    )
  }
}

/**
 * Checks whether a path is JSON by mistake. The JSON may hold passwords, and the error for a file of
 * that name would show them.
 *
 * @param path The value of a setting that names a file.
 * @returns Whether the value looks like JSON.
 */
export function isJson(path: string): boolean {
  return /^\s*[[{]/.test(path)
}
