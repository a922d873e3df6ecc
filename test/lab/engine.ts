// A Docker engine of the lab's own: containerd, dockerd and a swarm of one node. It shares nothing
// with a Docker that may be there already, and leaves the host's network as it is.

import { mkdir, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { controlGroup } from './leftovers.ts'
import { freePorts, isListening } from './ports.ts'
import { createDaemon, type Daemon, runProgram } from './processes.ts'
import { waitFor } from './wait.ts'

/** The answer of the Engine API. */
export interface EngineAnswer {
  readonly status: number
  readonly text: string
}

/** An engine that somebody runs. */
export interface EngineClient {
  readonly socketPath: string
  /** `unix://` and the socket's path. */
  readonly dockerHost: string
  /**
   * Calls the Engine API.
   *
   * @param method The HTTP method.
   * @param path The path, with the query, as in `/services/web`.
   * @param body Is sent as JSON; a string is JSON already.
   * @returns The answer, whatever its status.
   */
  request(method: string, path: string, body?: unknown): Promise<EngineAnswer>
  /**
   * Runs Debian's `docker` against this engine.
   *
   * @param args Its arguments.
   * @returns What it wrote to stdout, trimmed.
   * @throws Error with what it wrote to stderr, when it fails.
   */
  docker(...args: readonly string[]): Promise<string>
}

/**
 * An engine of one's own. Containers outlive a killed engine; a stopped one takes them along. `stop`
 * takes five seconds, in which the socket is gone already: dockerd waits in vain for its ingress
 * network, which the lab keeps from coming up.
 */
export interface Engine extends EngineClient, Omit<Daemon, 'signal'> {
  /** Stops the engine and starts it, until its swarm answers again. */
  restart(): Promise<void>
}

/** What to run other than Debian's engine with the lab's flags. */
export interface EngineOptions {
  /** Address of the registry that is spoken to in plain HTTP. */
  readonly registryAddress: string
  /** More flags for dockerd. */
  readonly flags?: readonly string[]
}

const requestTimeoutMs = 60_000
const dockerTimeoutMs = 300_000

/**
 * Reaches an engine that runs.
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
 * Prepares an engine; nothing runs before its `start`, which makes the swarm too.
 *
 * @param directory The lab's directory.
 * @param options The registry, and more flags.
 * @returns The engine.
 */
export async function createEngine(directory: string, options: EngineOptions): Promise<Engine> {
  const client = connectEngine(directory)
  const containerd = await createContainerd(directory)
  const dockerd = await createDockerd(directory, options, client)
  const swarmAddress = randomLoopbackAddress()
  let gossipPort: Server | undefined

  /**
   * Swarm sets up overlay networks and the `docker_gwbridge` in the host's network as soon as its
   * gossip can listen on port 7946, which cannot be chosen. With that port taken, on an address
   * that is this lab's alone, it leaves the network alone; services on the host network need none.
   */
  async function initSwarm(): Promise<void> {
    gossipPort = await takePort(7946, swarmAddress)
    const [port] = await freePorts(1)
    const addresses = { ListenAddr: `${swarmAddress}:${port}`, AdvertiseAddr: swarmAddress }
    const { status, text } = await client.request('POST', '/swarm/init', addresses)
    if (status !== 200) throw new Error(`Could not make the lab's swarm: ${text.trim()}`)
  }

  async function start(): Promise<void> {
    await containerd.start()
    await dockerd.start()
    if (gossipPort === undefined) await initSwarm()
    await waitFor("the lab's swarm to answer and its node to be ready", async () => {
      const { status, text } = await client.request('GET', '/nodes')
      return status === 200 && JSON.parse(text)[0]?.Status.State === 'ready'
    })
  }

  async function restart(): Promise<void> {
    await dockerd.stop()
    await start()
  }

  return { ...client, start, stop: dockerd.stop, kill: dockerd.kill, restart }
}

/** A containerd of the lab's own: without one, dockerd would use the system's when it runs. */
async function createContainerd(directory: string): Promise<Daemon> {
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
    isReady: () => isListening(socketPath),
  })
}

async function createDockerd(
  directory: string,
  options: EngineOptions,
  client: EngineClient,
): Promise<Daemon> {
  // A config file of its own, or dockerd would read the one of the machine's Docker.
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

/** Listens on a port, unless somebody else does: taken is taken. */
function takePort(port: number, host: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', () => resolve(server))
    server.listen(port, host, () => resolve(server))
  })
}
