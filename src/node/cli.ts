// The command line: flags, help and the subcommand `healthcheck`.

import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import {
  describeSetting,
  type Flags,
  SETTINGS,
  type SettingName,
  settingNames,
} from './settings/setting-list.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** The input of the command. */
export interface CommandSources {
  /** As in `process.argv`. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Runs the command: Deployer until a signal ends it, or `healthcheck`.
 *
 * @param sources The command line and the environment.
 */
export function runCommand({ argv, env }: CommandSources): void {
  const options = settingNames().flatMap((name) => optionsFor(name))
  const readFlags = (values: Readonly<Record<string, string | undefined>>): Flags =>
    Object.fromEntries(
      options.flatMap(({ name, option }) => {
        const value = values[option.attributeName()]
        return value === undefined ? [] : [[name, value]]
      }),
    )
  const command = new Command('deployer')
    .description(
      'Updates Docker Swarm services over HTTP: PUT /service/<name> {"image": "name:tag"}',
    )
    .version(version)
    .helpCommand(false)
    .configureOutput({
      // The error for a misspelled flag shows its value, which may be a secret.
      outputError: (text, write) => write(text.replace(/'(-[^'=]*)=.*'/s, "'$1=…'")),
    })
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', helpOfVariables())
    .action(async (values) => {
      const { serve } = await import('./serve.ts')
      await serve(readFlags(values), { env, version })
    })
  for (const { option } of options) {
    command.addOption(option)
  }
  command
    .command('healthcheck')
    .description('Exits with 0 if Deployer responds at the address in BIND, otherwise with 1.')
    .action(async (_, { parent }: Command) => {
      const { runHealthCheck } = await import('./health-check.ts')
      await runHealthCheck(readFlags(parent?.opts() ?? {}), { env })
    })
  command.parse(argv.map(withTwoDashes))
}

const HELP_WIDTH = 100

interface SettingOption {
  readonly name: SettingName
  readonly option: Option
}

function optionsFor(name: SettingName): readonly SettingOption[] {
  const { flag } = SETTINGS[name]
  return flag === undefined
    ? []
    : [{ name, option: new Option(flag, `${name}: ${describeSetting(name)}`) }]
}

/** The settings that have no flag, and an example. */
function helpOfVariables(): string {
  const names = settingNames().filter((name) => SETTINGS[name].flag === undefined)
  const width = Math.max(...names.map((name) => name.length))
  const lines = names.map((name) => `  ${name.padEnd(width)}  ${describeSetting(name)}\n`)
  return `
Environment variables without a flag:
${lines.join('')}
A flag takes precedence over its variable. Other users of the machine can see flags, so set secrets
with variables or files.

Example:
  TOKEN_FILE=/run/secrets/deployer_token BIND=127.0.0.1:9999 ROLLOUT_TIMEOUT=10m deployer`
}

/** Flags in Go may have one dash, and callers of the Go program wrote `-token`. */
function withTwoDashes(argument: string): string {
  return /^-(?:token|docker-host|notify-flags|bind)(?:=|$)/.test(argument)
    ? `-${argument}`
    : argument
}
