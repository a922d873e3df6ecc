// Deployer as a process of its own, as its users run it.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { builtProgram } from './built-program.ts'
import { spawnOwned } from './owned-process.ts'

/** How to start it. */
export interface DeployerProcessOptions {
  /** Variables beside PATH; `BIND` is a free port of 127.0.0.1 unless told. */
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** A file descriptor for standard output, which is then not read here; a pipe unless told. */
  readonly stdout?: number
}

/** A process that was started. */
export interface DeployerProcess {
  readonly pid: number
  /** What it wrote to standard output and standard error, so far. */
  readonly output: { stdout: string; stderr: string }
  /** The structured log lines, so far. */
  log(): readonly Record<string, unknown>[]
  /** Waits until it listens, and gives its URL. */
  url(): Promise<string>
  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void
  /** Waits for the end, and gives the exit status and how long that took from now. */
  ended(): Promise<{ readonly status: number | null; readonly tookMs: number }>
}

const ENTRY = fileURLToPath(new URL('../../src/node/main.ts', import.meta.url))

export function startDeployer(options: DeployerProcessOptions = {}): DeployerProcess {
  const { env = {}, args = [], stdout = 'pipe' } = options
  const child = spawnOwned(process.execPath, [builtProgram(ENTRY), ...args], {
    env: { PATH: process.env.PATH, BIND: '127.0.0.1:0', ...env },
    stdio: ['ignore', stdout, 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (data) => {
    output.stdout += data
  })
  child.stderr?.on('data', (data) => {
    output.stderr += data
  })
  const exit = once(child, 'close')
  const log = (): readonly Record<string, unknown>[] =>
    output.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))

  return {
    pid: child.pid ?? Number.NaN,
    output,
    log,
    url: () => listening(child, { log, output }),
    kill: (signal) => void child.kill(signal),
    async ended() {
      const startedAt = Date.now()
      const [status] = await exit
      return { status, tookMs: Date.now() - startedAt }
    },
  }
}

async function listening(
  child: ChildProcess,
  { log, output }: Pick<DeployerProcess, 'log' | 'output'>,
): Promise<string> {
  for (;;) {
    const line = log().find(({ msg }) => msg === 'listening')
    if (line !== undefined) {
      return `http://${line.bind}`
    }
    if (child.exitCode !== null) {
      throw new Error(`Deployer ended with status ${child.exitCode}: ${output.stderr}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
