// Starts Deployer as a process of its own, as its users do.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { builtProgram } from './built-program.ts'
import { spawnOwned } from './owned-process.ts'

/** Environment, arguments and standard output of the process. */
export interface DeployerProcessOptions {
  /** Environment variables besides PATH. Default of `BIND`: a free port of 127.0.0.1. */
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** A file descriptor for standard output, which is not read then. Default: a pipe. */
  readonly stdout?: number
}

/** A started process. */
export interface DeployerProcess {
  readonly pid: number
  /** Its standard output and standard error so far. */
  readonly output: { stdout: string; stderr: string }
  /** The structured log lines, so far. */
  log(): readonly Record<string, unknown>[]
  /** Waits until it listens, and returns its URL. */
  url(): Promise<string>
  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void
  /** Waits for the end, and returns the exit status and the time that this took. */
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
