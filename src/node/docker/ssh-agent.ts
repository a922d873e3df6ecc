// An HTTP agent that connects to a Docker daemon through the `ssh` program, as the Docker CLI does,
// so that the user's ssh keys, configuration and known hosts apply.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { Agent } from 'node:http'
import { Duplex } from 'node:stream'
import type { DockerHost } from './docker-host.ts'

const MAX_STDERR = 2000
// sshd starts to refuse logins at 10 unauthenticated connections (MaxStartups).
const MAX_PROCESSES = 8

/**
 * Creates the agent. Each request runs `ssh … docker system dial-stdio`, so the remote machine
 * needs the `docker` program.
 *
 * @param host The remote machine. Empty user and port: the defaults of ssh.
 * @param limits Maximum number of connections; never more than 8 are open.
 * @returns The agent. The error of a failed connection contains the standard error of `ssh`.
 */
export function createSshAgent(
  host: Extract<DockerHost, { kind: 'ssh' }>,
  { maxSockets }: { readonly maxSockets: number },
): Agent {
  const agent = new Agent({ maxSockets: Math.min(maxSockets, MAX_PROCESSES) })
  agent.createConnection = () => dial(sshArguments(host))
  return agent
}

/**
 * The arguments of docker/cli (connhelper), with `BatchMode`, since no password can be entered, and
 * with keep-alive messages, without which a stream would wait for hours for an unreachable machine.
 */
function sshArguments({ user, host, port }: Extract<DockerHost, { kind: 'ssh' }>): string[] {
  return [
    ...['-o', 'ConnectTimeout=30', '-o', 'BatchMode=yes', '-o', 'ServerAliveInterval=15', '-T'],
    ...(user === '' ? [] : ['-l', user]),
    ...(port === '' ? [] : ['-p', port]),
    ...['--', host, 'docker', 'system', 'dial-stdio'],
  ]
}

function dial(args: readonly string[]): Duplex {
  const child = spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const connection = new Duplex({
    read: () => void child.stdout?.resume(),
    write: (chunk, encoding, done) => void child.stdin?.write(chunk, encoding, () => done()),
    final: (done) => void child.stdin?.end(() => done()),
    destroy(error, done) {
      child.kill()
      done(error)
    },
  })
  child.on('error', (cause) => {
    connection.destroy(
      new Error(`cannot run ssh (${cause.message}); check that ssh is installed`, { cause }),
    )
  })
  // If no file descriptor is free, the pipes are undefined, contrary to the types; `error` follows.
  if (child.stdout !== undefined) {
    connectPipes(child, connection)
  }
  return connection
}

function connectPipes(child: ChildProcessWithoutNullStreams, connection: Duplex): void {
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, MAX_STDERR)
  })
  child.stdout.on('data', (chunk: Buffer) => {
    if (!connection.push(chunk)) {
      child.stdout.pause()
    }
  })
  // The exit status of the program, which follows, explains more than a broken pipe.
  child.stdin.on('error', () => {})
  child.on('close', (status) => {
    if (status === 0) {
      connection.push(null)
    } else {
      connection.destroy(new Error(`ssh exited with status ${status}: ${stderr.trim()}`))
    }
  })
}
