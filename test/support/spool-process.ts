// Starts processes that share a spool directory.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { builtProgram } from './built-program.ts'

const PROGRAM = fileURLToPath(new URL('./spool-program.ts', import.meta.url))
const running = new Set<ChildProcess>()

process.on('exit', killAll)

/** A process with a spool store. */
export interface SpoolProcess {
  /** Sends a command of `spool-program.ts`, and returns its result. */
  ask(command: string, argument?: string | number): Promise<unknown>
  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void
  /** Kills the process with SIGKILL, and waits for its end. */
  crash(): Promise<void>
}

/**
 * Starts a process with a spool store.
 *
 * @param directory The directory of the store.
 * @param options Options of the store, such as its intervals in milliseconds.
 */
export function startSpoolProcess(directory: string, options: object = {}): SpoolProcess {
  const child = spawn(
    process.execPath,
    [builtProgram(PROGRAM), directory, JSON.stringify(options)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  running.add(child)
  child.once('exit', () => running.delete(child))
  const answers = new Map<number, (result: unknown) => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [id, result] = JSON.parse(line)
    answers.get(id)?.(result)
    answers.delete(id)
  })
  let asked = 0
  return {
    ask(command, argument) {
      asked += 1
      const id = asked
      child.stdin.write(`${JSON.stringify([id, command, argument])}\n`)
      return new Promise((resolve) => answers.set(id, resolve))
    },
    kill: (signal) => void child.kill(signal),
    async crash() {
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
}

/** Kills all processes that are still running. */
export function killAll(): void {
  for (const child of running) {
    child.kill('SIGKILL')
  }
}
