// `BIND`: the address that Deployer listens at.

import { type Address, parseAddress } from './address.ts'
import type { SettingSource } from './setting-source.ts'
import { shown } from './settings-issue.ts'

/**
 * Reads and checks the address.
 *
 * @param source The source of the settings.
 * @returns The address; undefined, with an error among the issues, if it cannot be used.
 */
export function readBind({ value, issues }: SettingSource): Address | undefined {
  const text = value('BIND')
  return (
    parseAddress(text) ??
    issues.error('BIND', `is ${shown(text)}: it must be like :9999, 127.0.0.1:9999 or [::1]:9999`)
  )
}
