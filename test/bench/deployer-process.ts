// Starts the built Deployer, `dist/node/main.js`, as a process of its own that logs to a file.

import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SharedLab } from '../lab/lab.ts'
import { freePorts, isListening } from '../lab/ports.ts'
import { labEnvironment } from '../lab/processes.ts'
import { waitFor } from '../lab/wait.ts'
import { spawnOwned } from '../support/owned-process.ts'
import type { Side } from './bare-engine.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'

/** Memory of a process, in MiB. */
export interface Memory {
  readonly resident: number
  readonly residentAtMost: number
}

/** A running Deployer. */
export interface DeployerProcess {
  readonly port: number
  /** The tube of its messages. */
  readonly tube: string
  /** Opens connections that deploy, and that wait for the verdict if the options require it. */
  connect(connections: number, options?: PutOptions): Side
  /** Opens connections for any request. */
  client(connections: number): HttpClient
  /** Number of accepted deployments. */
  deployments(): number
  memory(): Promise<Memory>
  stop(): Promise<void>
}

/** Engine and environment of the process. */
export interface DeployerProcessOptions {
  readonly dockerHost?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Options of a `PUT`. */
export interface PutOptions {
  /** How long to wait for the verdict, which must be `converged`. Default: no wait. */
  readonly waitSeconds?: number
}

export const TOKEN = 'the-token-of-the-benchmark'
// `BENCH_MAIN` measures another build.
const MAIN = process.env.BENCH_MAIN ?? join(import.meta.dirname, '../../dist/node/main.js')

/**
 * Starts Deployer against the lab, and waits until it listens.
 *
 * @param lab The lab.
 * @param options The address of the engine (default: that of the lab), and more environment
 *   variables.
 * @returns The process.
 */
export async function startDeployer(
  lab: SharedLab,
  { dockerHost = lab.engine.dockerHost, env = {} }: DeployerProcessOptions = {},
): Promise<DeployerProcess> {
  const [port = 0] = await freePorts(1)
  const log = openSync(join(lab.directory, 'deployer.log'), 'a')
  const child = spawnOwned(process.execPath, [...flags(), MAIN], {
    cwd: lab.directory,
    env: {
      ...labEnvironment(lab.directory),
      ...settings(lab, port),
      DOCKER_HOST: dockerHost,
      ...env,
    },
    stdio: ['ignore', log, 'inherit'],
  })
  closeSync(log)
  await waitFor('Deployer to listen', () => isListening(port))
  let deployments = 0

  function connect(connections: number, options?: PutOptions): Side {
    const side = putSide(port, connections, options)
    async function deploy(service: string, image: string): Promise<void> {
      await side.deploy(service, image)
      deployments += 1
    }
    return { deploy, close: side.close }
  }

  async function memory(): Promise<Memory> {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
    const mebibytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
    return { resident: mebibytes('VmRSS'), residentAtMost: mebibytes('VmHWM') }
  }

  async function stop(): Promise<void> {
    if (child.exitCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }

  return {
    port,
    tube: tubeOf(port),
    connect,
    client: (connections) => authorizedClient(port, connections),
    deployments: () => deployments,
    memory,
    stop,
  }
}

/**
 * Deploys by `PUT`, as callers of Deployer do.
 *
 * @param port The port of Deployer, or of a server that replaces it.
 * @param connections Number of connections.
 * @param options Whether to wait for the verdict.
 * @returns The side.
 */
export function putSide(port: number, connections: number, options: PutOptions = {}): Side {
  const client = authorizedClient(port, connections)
  const { waitSeconds } = options
  const query = waitSeconds === undefined ? '' : `?wait=${waitSeconds}`
  async function deploy(service: string, image: string): Promise<void> {
    const answer = await client.call(
      'PUT',
      `/service/${service}${query}`,
      JSON.stringify({ image }),
    )
    if (answer.status !== 200) throw new Error(`The deployment was refused: ${answer.text}`)
    const { verdict } = JSON.parse(answer.text)
    if (waitSeconds !== undefined && verdict !== 'converged') {
      throw new Error(`The deployment did not converge: ${answer.text}`)
    }
  }
  return { deploy, close: client.close }
}

function authorizedClient(port: number, connections: number): HttpClient {
  return createHttpClient({ target: { port }, connections, headers: { Authorization: TOKEN } })
}

function tubeOf(port: number): string {
  return `bench-${port}`
}

function settings({ beanstalkd }: SharedLab, port: number): Record<string, string> {
  const template = Buffer.from('I just deployed {{.Artifact}} for {{.ServiceName}}')
  return {
    TOKEN,
    BIND: `127.0.0.1:${port}`,
    NOTIFY_FLAGS: JSON.stringify({
      addr: beanstalkd.address,
      tube: tubeOf(port),
      template: template.toString('base64'),
    }),
  }
}

/** `BENCH_NODE_FLAGS="--cpu-prof --cpu-prof-dir=…"` profiles the measured process. */
function flags(): readonly string[] {
  return (process.env.BENCH_NODE_FLAGS ?? '').split(' ').filter((flag) => flag !== '')
}
