// An HTTP agent that reaches a Docker daemon through the `ssh` program, as Docker's own command
// line does, so that its keys, its configuration and its known hosts hold here too.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { Agent } from 'node:http'
import { Duplex } from 'node:stream'
import type { DockerHost } from './docker-host.ts'

const MAX_STDERR = 2000
// sshd starts to drop logins at 10 (its MaxStartups).
const MAX_PROCESSES = 8

/**
 * Makes the agent. Each request runs `ssh … docker system dial-stdio`, so the far machine needs the
 * `docker` program.
 *
 * @param host Where to go; user and port are ssh's own defaults when empty.
 * @param limits How many connections may stand; at most 8 do.
 * @returns An agent whose connections fail with what `ssh` said on its standard error.
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
 * docker/cli's connhelper; `BatchMode`, since nobody is there to type a password; and a sign of life
 * now and then, or a stream would wait for hours for a machine that is gone.
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
    connection.destroy(new Error(`cannot run ssh (${cause.message}): is it installed?`, { cause }))
  })
  // Without a free file descriptor there are no pipes, whatever the types say; `error` follows.
  if (child.stdout !== undefined) {
    joinPipes(child, connection)
  }
  return connection
}

function joinPipes(child: ChildProcessWithoutNullStreams, connection: Duplex): void {
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, MAX_STDERR)
  })
  child.stdout.on('data', (chunk: Buffer) => {
    if (!connection.push(chunk)) {
      child.stdout.pause()
    }
  })
  // A broken pipe says less than the end of the program that broke it.
  child.stdin.on('error', () => {})
  child.on('close', (status) => {
    if (status === 0) {
      connection.push(null)
    } else {
      connection.destroy(new Error(`ssh ended with status ${status}: ${stderr.trim()}`))
    }
  })
}
