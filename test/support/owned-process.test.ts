// Processes that a test starts end with the test run, even if the run is killed.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { spawnOwned } from './owned-process.ts'

const PROJECT = fileURLToPath(new URL('../../', import.meta.url))
const VITEST = join(PROJECT, 'node_modules/vitest/vitest.mjs')
const PATIENCE = { timeout: 50_000 }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'owned-process-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/**
 * A program that starts Deployer, writes both process IDs to a file when it listens, and continues.
 */
function programWithDeployer(nextStatements: string): string {
  return `
    import { writeFileSync } from 'node:fs'
    import { startDeployer } from ${JSON.stringify(join(PROJECT, 'test/support/deployer-process.ts'))}
    async function start() {
      const deployer = startDeployer({ env: { TOKEN: 'x' } })
      await deployer.url()
      writeFileSync(${JSON.stringify(join(folder, 'pids'))}, process.pid + ' ' + deployer.pid + '\\n')
    }
    ${nextStatements}
  `
}

/** The process IDs of the program and of its Deployer, once that listens. */
function writtenPids(): Promise<readonly number[]> {
  return vi.waitFor(() => {
    const text = readFileSync(join(folder, 'pids'), 'utf8')
    expect(text).toMatch(/\n$/)
    return text.trim().split(' ').map(Number)
  }, PATIENCE)
}

/** A zombie, whose parent has not read its exit status yet, is not running. */
function isRunning(pid: number | undefined): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function expectEnded(...pids: readonly (number | undefined)[]): Promise<void> {
  await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), PATIENCE)
}

test('a Deployer dies with the process that started it, even if neither can react', async () => {
  const program = programWithDeployer('await start(); setInterval(() => {}, 1000)')
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const runner = spawnOwned(process.execPath, flags, { cwd: PROJECT, stdio: 'inherit' })
  const [pid = 0, deployer = 0] = await writtenPids()
  expect([runner.pid, isRunning(deployer)]).toEqual([pid, true])
  process.kill(deployer, 'SIGSTOP')
  runner.kill('SIGKILL')
  await expectEnded(pid, deployer)
}, 60_000)

test.each(['the runner', 'the worker'])(
  'a Deployer dies when %s of Vitest is killed while a test runs',
  async (victim) => {
    const file = join(folder, 'endless.test.js')
    const endless = "test('endless', async () => { await start(); await new Promise(() => {}) })"
    writeFileSync(file, programWithDeployer(endless))
    const flags = ['run', '--root', folder, '--globals', '--testTimeout=600000']
    const runner = spawnOwned(process.execPath, [VITEST, ...flags], {
      cwd: PROJECT,
      env: { PATH: process.env.PATH },
      stdio: 'ignore',
    })
    const [worker = 0, deployer = 0] = await writtenPids()
    expect([worker === runner.pid, isRunning(worker), isRunning(deployer)]).toEqual([
      ...[false, true, true],
    ])
    process.kill(victim === 'the runner' ? (runner.pid ?? 0) : worker, 'SIGKILL')
    await expectEnded(worker, deployer)
  },
  60_000,
)
