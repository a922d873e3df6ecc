// Starts the servers that Deployer is compared with, each in a process of its own, as plain
// JavaScript.

import { once } from 'node:events'
import { join } from 'node:path'
import { build } from 'esbuild'
import { freePorts, isListening } from '../lab/ports.ts'
import { waitFor } from '../lab/wait.ts'
import { spawnOwned } from '../support/owned-process.ts'

/** A running server. */
export interface BareServerProcess {
  readonly port: number
  stop(): Promise<void>
}

// In the working copy, so that the same packages are found.
const FOLDER = join(import.meta.dirname, '../../.cache/bench')

/**
 * Starts a server, and waits until it listens.
 *
 * @param name `bare-server` or `forwarder`: the module of that name gets its port as first
 *   argument.
 * @param args Further arguments.
 * @returns The process.
 */
export async function startBareServer(
  name: 'bare-server' | 'forwarder',
  args: readonly string[] = [],
): Promise<BareServerProcess> {
  const script = join(FOLDER, `${name}.mjs`)
  await build({
    entryPoints: [join(import.meta.dirname, `${name}.ts`)],
    outfile: script,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  })
  const [port = 0] = await freePorts(1)
  const child = spawnOwned(process.execPath, [script, String(port), ...args], {
    env: {},
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  await waitFor(`the ${name} to listen`, () => isListening(port))

  async function stop(): Promise<void> {
    if (child.exitCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }

  return { port, stop }
}
