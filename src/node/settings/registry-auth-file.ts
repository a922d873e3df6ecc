// `REGISTRY_AUTH_FILE`: a Docker `config.json` with credentials for registries.

import { parseRegistryAuths } from '../credentials/registry-auths.ts'
import { isJson, readSettingFile, type SettingSource } from './setting-source.ts'
import { shown } from './settings-issue.ts'

/**
 * Reads the path, and checks the file once.
 *
 * @param source The source of the settings; errors about the file are among its issues.
 * @returns The path; undefined if none is set.
 */
export function readRegistryAuthFile(source: SettingSource): string | undefined {
  const { value, issues } = source
  const path = value('REGISTRY_AUTH_FILE')
  if (path === '') {
    return undefined
  }
  if (isJson(path)) {
    return issues.error(
      'REGISTRY_AUTH_FILE',
      'is JSON, but it must be the path of a file: write the JSON to a file and set its path',
    )
  }
  const text = readSettingFile('REGISTRY_AUTH_FILE', source)
  const result = text === undefined ? undefined : parseRegistryAuths(text)
  if (result?.ok === false) {
    for (const reason of result.errors) {
      issues.error('REGISTRY_AUTH_FILE', `is ${shown(path)}, but ${reason}`)
    }
  }
  return path
}
