// `TOKEN` and `TOKEN_FILE`: the secret that callers send.

import { isAbsolute } from 'node:path'
import { tokenFault, tokenWarning } from '../../http/token.ts'
import { readSettingFile, type SettingSource } from './setting-source.ts'
import { shown } from './settings-issue.ts'

/**
 * Reads and checks the token.
 *
 * @param source The source of the settings.
 * @returns The token; undefined, with an error among the issues, if there is none that can be used.
 */
export function readToken(source: SettingSource): string | undefined {
  const { value, issues } = source
  if (value('TOKEN_FILE') !== '') {
    return readTokenFile(source)
  }
  if (value('TOKEN') === '') {
    return issues.error(
      'TOKEN',
      'is not set: set TOKEN (or --token) to the secret that callers must send, or TOKEN_FILE to a file that contains it',
    )
  }
  return checkToken('TOKEN', value('TOKEN'), source)
}

function readTokenFile(source: SettingSource): string | undefined {
  const { value, issues } = source
  const path = value('TOKEN_FILE')
  if (value('TOKEN') !== '') {
    return issues.error('TOKEN_FILE', 'is set, and so is TOKEN: set only one of them')
  }
  if (!isAbsolute(path)) {
    // The value is not shown, because it may be the token itself.
    return issues.error(
      'TOKEN_FILE',
      'is not an absolute path: set the path of a file that contains the token, such as /run/secrets/deployer_token',
    )
  }
  const text = readSettingFile('TOKEN_FILE', source)?.replace(/\r?\n$/, '')
  if (text === '') {
    return issues.error(
      'TOKEN_FILE',
      `is ${shown(path)}, but the file is empty: write the secret that callers must send to it`,
    )
  }
  return text === undefined ? undefined : checkToken('TOKEN_FILE', text, source)
}

function checkToken(
  name: 'TOKEN' | 'TOKEN_FILE',
  token: string,
  { value, issues }: SettingSource,
): string | undefined {
  const subject = name === 'TOKEN' ? '' : `is ${shown(value(name))}, and the token in it `
  const reason = tokenFault(token)
  if (reason !== undefined) {
    return issues.error(name, `${subject}${reason}`)
  }
  const mistake = tokenWarning(token)
  if (mistake !== undefined) {
    issues.warn(name, `${subject}${mistake}`)
  }
  return token
}
