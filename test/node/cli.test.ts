// The command line as a process: the help and the health check.

import { afterAll, describe, expect, test } from 'vitest'
import { SETTINGS, settingNames } from '../../src/node/settings/setting-list.ts'
import { readSettings } from '../../src/node/settings/settings.ts'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'

const processes: DeployerProcess[] = []
afterAll(() => {
  for (const process of processes) {
    process.kill('SIGKILL')
  }
})

function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): DeployerProcess {
  const deployer = startDeployer({ args, env })
  processes.push(deployer)
  return deployer
}

/** The names of the environment variables that `readSettings` reads. */
function variablesRead(): ReadonlySet<string> {
  const names = new Set<string>()
  const env = new Proxy<Record<string, string>>(
    {},
    {
      get: (_, name) => {
        names.add(String(name))
        return undefined
      },
    },
  )
  readSettings({}, { env, readFile: () => '' })
  return names
}

test('the list of settings contains every variable that is read', () => {
  expect([...variablesRead()].sort()).toEqual([...settingNames()].sort())
})

test.concurrent('--help names every setting with its flag and default, and an example', async () => {
  const help = start(['--help'])
  expect((await help.ended()).status).toBe(0)
  const text = help.output.stdout.replace(/\s+/g, ' ')
  for (const name of settingNames()) {
    const { flag, summary, default: value, unset } = SETTINGS[name]
    const left = flag === undefined ? name : `${flag} ${name}:`
    const right = value === undefined ? unset : `default: ${value}`
    expect(text).toContain(`${left} ${summary} (${right})`)
  }
  expect(help.output.stdout).toMatch(/\nExample:\n {2}\w+=.* deployer\n$/)
})

describe.concurrent('healthcheck', () => {
  test('ends with status 0 and no output if Deployer responds', async () => {
    const deployer = start([], { TOKEN: 'x', BIND: ':0', DOCKER_HOST: 'unix:///nonexistent' })
    const port = (await deployer.url()).split(':').at(-1)
    const byVariable = start(['healthcheck'], { BIND: `:${port}` })
    const byFlag = start(['healthcheck', '--bind', `[::1]:${port}`], { BIND: ':1' })
    for (const check of [byVariable, byFlag]) {
      expect((await check.ended()).status).toBe(0)
      expect(check.output).toEqual({ stdout: '', stderr: '' })
    }
  })

  test.each([
    ['127.0.0.1:1', 'GET http://127.0.0.1:1/healthz failed: connect ECONNREFUSED 127.0.0.1:1'],
    ['x', 'BIND is "x": it must be like :9999, 127.0.0.1:9999 or [::1]:9999'],
  ])('ends with status 1 and the reason otherwise: BIND=%s', async (BIND, reason) => {
    const check = start(['healthcheck'], { BIND })
    expect((await check.ended()).status).toBe(1)
    expect(check.output).toEqual({
      stdout: '',
      stderr: `deployer: the health check failed: ${reason}\n`,
    })
  })
})
