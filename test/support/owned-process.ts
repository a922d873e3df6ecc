// Starts processes that are killed when the process that started them ends, for any reason.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

// `setpriv` asks the kernel (prctl, PR_SET_PDEATHSIG) to kill the process when its parent dies,
// even by SIGKILL. Then it executes the program in place, so that the process ID is that of the
// program.
const SETPRIV = '/usr/bin/setpriv'
const SIGNAL_OF_PARENT_DEATH = ['--pdeathsig', 'KILL']

const owned = new Set<ChildProcess>()

function killOwnedProcesses(): void {
  for (const child of owned) {
    child.kill('SIGKILL')
  }
}

process.on('exit', killOwnedProcesses)
// A worker of the test runner survives a runner that was killed, as long as it has a child process.
process.once('disconnect', () => {
  killOwnedProcesses()
  process.kill(process.pid, 'SIGKILL')
})

/**
 * Starts a program that is killed as soon as this process ends, normally or by a signal. The tests,
 * the demo and the benchmark use it for all programs that do not end by themselves.
 *
 * @param command Absolute path of the program.
 * @param args Its arguments.
 * @param options As for `spawn`.
 * @returns The process.
 */
export function spawnOwned(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const child = existsSync(SETPRIV)
    ? spawn(SETPRIV, [...SIGNAL_OF_PARENT_DEATH, command, ...args], options)
    : spawn(command, args, options)
  owned.add(child)
  child.once('exit', () => owned.delete(child))
  return child
}
