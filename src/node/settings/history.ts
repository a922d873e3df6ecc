// The setting `HISTORY`.

import { type HistoryMode, historyModes } from '../../history/history-mode.ts'
import type { SettingSource } from './setting-source.ts'
import { shown } from './settings-issue.ts'

/**
 * Reads and checks where histories are kept.
 *
 * @param source The source of the settings.
 * @returns The mode; undefined, with an error among the issues, if it cannot be used.
 */
export function readHistory({ value, issues }: SettingSource): HistoryMode | undefined {
  const text = value('HISTORY')
  return (
    historyModes.find((mode) => mode === text) ??
    issues.error('HISTORY', `is ${shown(text)}: it must be config, label or off`)
  )
}
