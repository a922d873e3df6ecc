// All settings of the process, from flags and environment variables.

import { isAbsolute } from 'node:path'
import { isBasePath } from '../../deployer-options.ts'
import type { HistoryMode } from '../../history/history-mode.ts'
import type { Address } from './address.ts'
import { readBind } from './bind.ts'
import { type DockerHostSettings, readDockerHost } from './docker-host.ts'
import { readHistory } from './history.ts'
import { type NotifySettings, readNotifications } from './notify-flags.ts'
import { readRegistryAuthFile } from './registry-auth-file.ts'
import { type RolloutSettings, readRollouts } from './rollouts.ts'
import type { Flags } from './setting-list.ts'
import { createSettingSource, type SettingSource, type SettingsSources } from './setting-source.ts'
import { createSettingsIssues, type SettingsIssue, shown } from './settings-issue.ts'
import { readToken } from './token.ts'

/** The settings that Deployer runs with. */
export interface Settings extends DockerHostSettings, RolloutSettings {
  readonly token: string
  readonly bind: Address
  /** The destinations of notifications; empty: there are no notifications. */
  readonly notify: readonly NotifySettings[]
  /** The path of a Docker `config.json` that could be read at startup. */
  readonly registryAuthFile?: string
  /** Where the history of each service is kept. */
  readonly history: HistoryMode
  /** The path prefix that a reverse proxy strips; empty: none. */
  readonly basePath: string
  /** The absolute path of the directory that keeps messages over a restart; undefined: none. */
  readonly spoolDir?: string
}

/** Either settings that can be used, or all errors. Both can come with warnings. */
export type SettingsResult = { readonly warnings: readonly SettingsIssue[] } & (
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly errors: readonly SettingsIssue[] }
)

/**
 * Reads and checks all settings. All errors are reported together.
 *
 * @param flags The flags of the command line.
 * @param sources The environment, and how files are read. An empty variable counts as not set.
 * @returns The settings or the errors, and the warnings.
 */
export function readSettings(flags: Flags, sources: SettingsSources): SettingsResult {
  const issues = createSettingsIssues()
  const { errors, warnings } = issues
  const source = createSettingSource(flags, { ...sources, issues })

  const token = readToken(source)
  const engine = readDockerHost(source)
  const notify = readNotifications(source)
  const bind = readBind(source)
  const rollouts = readRollouts(source)
  const history = readHistory(source)
  const registryAuthFile = readRegistryAuthFile(source)
  const basePath = readBasePath(source)
  const spoolDir = readSpoolDir(source)

  if (
    token === undefined ||
    engine === undefined ||
    notify === undefined ||
    bind === undefined ||
    rollouts === undefined ||
    history === undefined ||
    basePath === undefined ||
    errors.length > 0
  ) {
    return { ok: false, errors, warnings }
  }
  const settings = {
    token,
    ...engine,
    notify,
    bind,
    ...rollouts,
    history,
    basePath,
    ...(registryAuthFile === undefined ? {} : { registryAuthFile }),
    ...(spoolDir === undefined ? {} : { spoolDir }),
  }
  return { ok: true, settings, warnings }
}

function readBasePath({ value, issues }: SettingSource): string | undefined {
  const text = value('BASE_PATH')
  return isBasePath(text)
    ? text
    : issues.error(
        'BASE_PATH',
        `is ${shown(text)}: it must be like /cd, without a slash at the end`,
      )
}

/** The directory itself is checked later and asynchronously, because a disk may not respond. */
function readSpoolDir({ value, issues }: SettingSource): string | undefined {
  const path = value('SPOOL_DIR')
  if (path !== '' && !isAbsolute(path)) {
    return issues.error(
      'SPOOL_DIR',
      `is ${shown(path)}: it must be an absolute path, such as /spool`,
    )
  }
  return path || undefined
}
