// A private Docker Engine: containerd, dockerd and a swarm of one node. It shares nothing with an
// installed Docker, and does not change the network of the host.

import { mkdir, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { controlGroup } from './leftovers.ts'
import { freePorts, isListening } from './ports.ts'
import { createDaemon, type Daemon, runProgram } from './processes.ts'
import { waitFor } from './wait.ts'

/** A response of the Engine API. */
export interface EngineAnswer {
  readonly status: number
  readonly text: string
}

/** Access to a running engine. */
export interface EngineClient {
  readonly socketPath: string
  /** `unix://` and the socket's path. */
  readonly dockerHost: string
  /**
   * Calls the Engine API.
   *
   * @param method The HTTP method.
   * @param path The path, with the query, as in `/services/web`.
   * @param body A string with JSON, or a value that is sent as JSON.
   * @returns The response, whatever its status.
   */
  request(method: string, path: string, body?: unknown): Promise<EngineAnswer>
  /**
   * Runs Debian's `docker` against this engine.
   *
   * @param args Its arguments.
   * @returns Its standard output, trimmed.
   * @throws Error with its standard error, when it fails.
   */
  docker(...args: readonly string[]): Promise<string>
}

/**
 * An engine that this process started. Containers keep running when the engine is killed, and end when it
 * is stopped. `stop` takes five seconds, during which the socket does not exist: dockerd waits for its
 * ingress network, which the lab prevents.
 */
export interface Engine extends EngineClient, Omit<Daemon, 'signal'> {
  /** Stops the engine, starts it and waits for its swarm. */
  restart(): Promise<void>
  /** Where its node can be reached by nodes that join its swarm, as `ADDRESS:PORT`; once it was started. */
  swarmAddress(): string
}

/** Options of {@link createEngine}. */
export interface EngineOptions {
  /** Address of the registry that the engine accesses without TLS. */
  readonly registryAddress: string
  /** Directories with the programs of another engine. Default: the installed engine. */
  readonly programs?: readonly string[]
  /** More flags for dockerd. */
  readonly flags?: readonly string[]
  /** A manager of the swarm that the engine joins, and the token for it. Default: a swarm of its own. */
  readonly join?: { readonly manager: string; readonly token: string }
}

const requestTimeoutMs = 60_000
const dockerTimeoutMs = 300_000

/**
 * Gives access to a running engine.
 *
 * @param directory The lab's directory.
 * @returns The engine.
 */
export function connectEngine(directory: string): EngineClient {
  const socketPath = join(directory, 'docker.sock')
  const dockerHost = `unix://${socketPath}`
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: directory,
    DOCKER_CONFIG: join(directory, 'docker-cli'),
    DOCKER_BUILDKIT: '1',
  }

  function request(method: string, path: string, body?: unknown): Promise<EngineAnswer> {
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const headers = payload === undefined ? {} : { 'content-type': 'application/json' }
    const signal = AbortSignal.timeout(requestTimeoutMs)
    return new Promise((resolve, reject) => {
      const call = httpRequest({ socketPath, method, path, headers, signal }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('error', reject)
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
        })
      })
      call.once('error', reject)
      call.end(payload)
    })
  }

  async function docker(...args: readonly string[]): Promise<string> {
    const { stdout } = await runProgram('/usr/bin/docker', ['-H', dockerHost, ...args], {
      env,
      timeoutMs: dockerTimeoutMs,
    })
    return stdout.trim()
  }

  return { socketPath, dockerHost, request, docker }
}

/**
 * Prepares an engine. Its `start` starts the daemons and creates the swarm.
 *
 * @param directory The lab's directory.
 * @param options The registry and more flags.
 * @returns The engine.
 */
export async function createEngine(directory: string, options: EngineOptions): Promise<Engine> {
  const client = connectEngine(directory)
  const containerd = await createContainerd(directory, options)
  const dockerd = await createDockerd(directory, options, client)
  const address = randomLoopbackAddress()
  let gossipPort: Server | undefined
  let swarmAddress = ''

  /**
   * Swarm creates overlay networks and `docker_gwbridge` in the network of the host as soon as its gossip
   * protocol can listen on port 7946, which is not configurable. While that port is in use, on an address
   * that only this lab has, Swarm creates none; services on the host network do not need them.
   */
  async function initSwarm(): Promise<void> {
    gossipPort = await takePort(7946, address)
    const [port] = await freePorts(1)
    swarmAddress = `${address}:${port}`
    const addresses = { ListenAddr: swarmAddress, AdvertiseAddr: address }
    const { join } = options
    const { status, text } =
      join === undefined
        ? await client.request('POST', '/swarm/init', addresses)
        : await client.request('POST', '/swarm/join', {
            ...addresses,
            ...{ RemoteAddrs: [join.manager], JoinToken: join.token },
          })
    if (status !== 200) throw new Error(`Could not make the lab's swarm: ${text.trim()}`)
  }

  async function start(): Promise<void> {
    await containerd.start()
    await dockerd.start()
    if (gossipPort === undefined) await initSwarm()
    await waitFor("the lab's swarm to answer and its node to be ready", async () => {
      const { status, text } = await client.request('GET', '/info')
      const { LocalNodeState, ControlAvailable, NodeID } = JSON.parse(text).Swarm
      if (status !== 200 || LocalNodeState !== 'active') return false
      if (!ControlAvailable) return true
      const node = await client.request('GET', `/nodes/${NodeID}`)
      return node.status === 200 && JSON.parse(node.text).Status.State === 'ready'
    })
  }

  async function restart(): Promise<void> {
    await dockerd.stop()
    await start()
  }

  return {
    ...client,
    ...{ start, stop: dockerd.stop, kill: dockerd.kill, restart },
    swarmAddress: () => swarmAddress,
  }
}

/** Without a private containerd, dockerd would use the one of the system. */
async function createContainerd(
  directory: string,
  { programs = [] }: EngineOptions,
): Promise<Daemon> {
  const configFile = join(directory, 'containerd.toml')
  const socketPath = containerdSocket(directory)
  const config = [
    'version = 2',
    `root = ${JSON.stringify(join(directory, 'containerd/root'))}`,
    `state = ${JSON.stringify(join(directory, 'containerd/state'))}`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]',
    '[grpc]',
    `address = ${JSON.stringify(socketPath)}`,
  ]
  await writeFile(configFile, config.join('\n'))
  return createDaemon('containerd', {
    directory,
    args: ['--config', configFile],
    programs,
    isReady: () => isListening(socketPath),
  })
}

async function createDockerd(
  directory: string,
  options: EngineOptions,
  client: EngineClient,
): Promise<Daemon> {
  // Without this file dockerd would read the configuration of the installed Docker.
  const configFile = join(directory, 'dockerd.json')
  await writeFile(configFile, '{}')
  await mkdir(join(directory, 'docker-cli'))
  return createDaemon('dockerd', {
    directory,
    args: [
      `--config-file=${configFile}`,
      `--containerd=${containerdSocket(directory)}`,
      `--data-root=${join(directory, 'data')}`,
      `--exec-root=${join(directory, 'exec')}`,
      `--pidfile=${join(directory, 'dockerd.pid')}`,
      `--host=${client.dockerHost}`,
      `--insecure-registry=${options.registryAddress}`,
      `--cgroup-parent=/${controlGroup(directory)}`,
      '--exec-opt=native.cgroupdriver=cgroupfs',
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      '--ip-forward=false',
      ...(options.flags ?? []),
    ],
    programs: options.programs ?? [],
    isReady: async () => {
      const answer = await client.request('GET', '/_ping').catch(() => undefined)
      return answer?.status === 200
    },
  })
}

function containerdSocket(directory: string): string {
  return join(directory, 'containerd.sock')
}

function randomLoopbackAddress(): string {
  const [a, b, c] = Array.from({ length: 3 }, () => 1 + Math.floor(Math.random() * 254))
  return `127.${a}.${b}.${c}`
}

/** Occupies a port, unless another process does. */
function takePort(port: number, host: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', () => resolve(server))
    server.listen(port, host, () => resolve(server))
  })
}
