// Processes of the lab: daemons that can be started, stopped and killed, and programs that end.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { waitFor } from './wait.ts'

/** A program that runs until it gets a signal. */
export interface Daemon {
  /** Starts the program and waits until it is ready; does nothing while it is running. */
  start(): Promise<void>
  /** Sends SIGTERM and waits for the end of the program. */
  stop(): Promise<void>
  /** Sends SIGKILL and waits for the end of the program. */
  kill(): Promise<void>
  /** Sends a signal that does not end the program. */
  signal(signal: NodeJS.Signals): void
}

/** Options of {@link createDaemon}. */
export interface DaemonOptions {
  /** The lab's directory; the log is `NAME.log` in it. */
  readonly directory: string
  /** The program's arguments. */
  readonly args: readonly string[]
  /** Directories with programs that are used before those of the system. */
  readonly programs?: readonly string[]
  /** Checks whether the daemon is ready. */
  readonly isReady: () => Promise<boolean>
}

/** The output of a program. */
export interface ProgramOutput {
  readonly stdout: string
  readonly stderr: string
}

const startTimeoutMs = 120_000
const stopTimeoutMs = 120_000
const systemPath = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

/**
 * The environment of the lab's processes. `DEPLOYER_LAB` marks them and their child processes, so that the
 * removal of the lab finds them.
 *
 * @param directory The lab's directory.
 * @param programs Directories that come first in `PATH`.
 * @returns The environment.
 */
export function labEnvironment(
  directory: string,
  programs: readonly string[] = [],
): Record<string, string> {
  return {
    PATH: [...programs, ...systemPath].join(':'),
    HOME: directory,
    TMPDIR: directory,
    DEPLOYER_LAB: directory,
  }
}

/**
 * Finds a program.
 *
 * @param name The program's name.
 * @param programs Directories that are searched before those of the system.
 * @returns Its path, or `undefined`.
 */
export function findProgram(name: string, programs: readonly string[] = []): string | undefined {
  return [...programs, ...systemPath]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))
}

/**
 * Prepares a daemon, which its `start` starts.
 *
 * @param command The program's name or path.
 * @param options Its arguments, its directory and its readiness check.
 * @returns The daemon.
 */
export function createDaemon(command: string, options: DaemonOptions): Daemon {
  const { directory, args, programs, isReady } = options
  const name = command.slice(command.lastIndexOf('/') + 1)
  const logFile = join(directory, `${name}.log`)
  let child: ChildProcess | undefined

  async function logTail(): Promise<string> {
    const log = await readFile(logFile, 'utf8').catch(() => '')
    return log.trimEnd().split('\n').slice(-20).join('\n')
  }

  async function start(): Promise<void> {
    if (child !== undefined) return
    const log = openSync(logFile, 'a')
    const path = command.startsWith('/') ? command : (findProgram(command, programs) ?? command)
    const env = labEnvironment(directory, programs)
    const started = spawn(path, args, { cwd: directory, env, stdio: ['ignore', log, log] })
    closeSync(log)
    child = started
    let end: string | undefined
    started.once('error', (error) => {
      end = error.message
    })
    started.once('exit', (code, signal) => {
      end = `it ended with ${signal ?? code}`
      if (child === started) child = undefined
    })
    started.unref()
    await waitFor(
      `${name} to be ready`,
      async () => {
        if (end !== undefined) {
          throw new Error(`Could not start ${name}: ${end}:\n${await logTail()}`)
        }
        return isReady()
      },
      { timeoutMs: startTimeoutMs, intervalMs: 15, describe: logTail },
    )
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ending = child
    if (ending === undefined) return
    const exit = once(ending, 'exit', { signal: AbortSignal.timeout(stopTimeoutMs) })
    ending.ref()
    ending.kill(signal)
    try {
      await exit
    } catch (cause) {
      throw new Error(
        `Timed out after ${stopTimeoutMs / 1000} s while waiting for ${name} to end on ${signal}:\n${await logTail()}`,
        { cause },
      )
    }
  }

  return {
    start,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    signal: (signal) => void child?.kill(signal),
  }
}

/**
 * Runs a program to its end.
 *
 * @param path The program.
 * @param args Its arguments.
 * @param options Its environment (default: the caller's), its directory and its deadline (default:
 *   120 000 ms).
 * @returns Its output.
 * @throws Error with its standard error, when it does not exit with 0.
 */
export function runProgram(
  path: string,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly cwd?: string
    readonly timeoutMs?: number
  } = {},
): Promise<ProgramOutput> {
  const { timeoutMs = 120_000, ...rest } = options
  const settings = { ...rest, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 }
  return new Promise((resolve, reject) => {
    execFile(path, [...args], settings, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr })
      else {
        const reason = error.killed
          ? `no end within ${timeoutMs} ms`
          : stderr.trim() || error.message
        reject(
          new Error(`Could not run \`${path} ${args.join(' ')}\`: ${reason}`, { cause: error }),
        )
      }
    })
  })
}
