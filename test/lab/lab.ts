// The lab: a private engine with a swarm of one node, a loopback registry with a few images, and
// beanstalkd. Tests, the demo and the benchmark use it.

import {
  type Beanstalkd,
  type BeanstalkdClient,
  connectBeanstalkd,
  createBeanstalkd,
} from './beanstalkd.ts'
import { connectEngine, createEngine, type Engine, type EngineClient } from './engine.ts'
import { enginePrograms } from './engine-packages.ts'
import { type ImageRecipe, pushImage, pushLabImages } from './images.ts'
import { createLabDirectory, removeDeadLabs, removeLab } from './leftovers.ts'
import { freePorts } from './ports.ts'
import { findProgram } from './processes.ts'
import { connectRegistry, createRegistry, type Registry, type RegistryClient } from './registry.ts'
import { type CreatedService, createService, type ServiceOptions, waitRunning } from './services.ts'

/** Access to a lab that another process started. Its daemons must not be stopped. */
export interface SharedLab {
  /** The directory of all files of the lab, such as the logs of its daemons (`NAME.log`). */
  readonly directory: string
  readonly engine: EngineClient
  readonly registry: RegistryClient
  readonly beanstalkd: BeanstalkdClient
  /**
   * Gives the reference of an image.
   *
   * @param name As in `lab/app:v1`. The tags are v1, v2, v3, bad (logs an error and exits with 1 after a
   *   second), unhealthy (its health check always fails) and slow (its first health check is after 10
   *   minutes), and v1 and v2 of `lab/job` (exit with 0 after a second).
   * @returns The full reference in the loopback registry.
   */
  image(name: string): string
  /** Creates an image and pushes it, also if the tag exists. Gives the full reference. */
  pushImage(name: string, recipe: ImageRecipe): Promise<string>
  /** Creates a service on the host network; its tasks may not run yet. */
  createService(options: ServiceOptions): Promise<CreatedService>
  /** Waits until exactly `replicas` (1) tasks of a service run, all of them with this image. */
  waitRunning(service: string, image: string, replicas?: number): Promise<void>
}

/** A lab that this process started. */
export interface Lab extends SharedLab {
  readonly engine: Engine
  readonly registry: Registry
  readonly beanstalkd: Beanstalkd
  /** Removes the lab completely, whatever its state is. */
  down(): Promise<void>
}

/** Options of {@link raiseLab}. */
export interface LabOptions {
  /** Gets the progress, one line at a time. */
  readonly log?: (line: string) => void
  /** More flags for dockerd. */
  readonly engineFlags?: readonly string[]
  /**
   * The Debian suite whose Docker Engine is started, as in `trixie`; it is fetched when it is not cached.
   * Default: the environment variable `LAB_ENGINE_SUITE`, else the installed engine.
   */
  readonly engineSuite?: string | undefined
}

/** What another process needs to access a lab. */
export interface LabCoordinates {
  readonly directory: string
  readonly registryAddress: string
  readonly beanstalkdPort: number
}

const required = ['dockerd', 'docker', 'containerd', 'docker-registry', 'beanstalkd', 'busybox']

/**
 * Starts a lab, after removing the labs of processes that ended.
 *
 * @param options A log and more flags for dockerd.
 * @returns The lab; the caller must call `down`.
 */
export async function raiseLab(options: LabOptions = {}): Promise<Lab> {
  const { log = () => {}, engineFlags = [], engineSuite = process.env.LAB_ENGINE_SUITE } = options
  requirePrograms()
  const programs = engineSuite === undefined ? [] : await enginePrograms(engineSuite)
  await removeDeadLabs(log)
  const startedAt = Date.now()
  const directory = await createLabDirectory()
  try {
    const [registryPort = 0, beanstalkdPort = 0] = await freePorts(2)
    const registry = await createRegistry(directory, registryPort)
    const beanstalkd = await createBeanstalkd(directory, beanstalkdPort)
    const engine = await createEngine(directory, {
      registryAddress: registry.address,
      flags: engineFlags,
      programs,
    })
    await Promise.all([registry.start(), beanstalkd.start(), engine.start()])
    await pushLabImages(engine, registry.address)
    const version = await engineVersion(engine)
    log(
      `The lab in ${directory} has Docker Engine ${version} and is up after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`,
    )
    const shared = connectLab({ directory, registryAddress: registry.address, beanstalkdPort })
    return { ...shared, engine, registry, beanstalkd, down: () => removeLab(directory) }
  } catch (error) {
    await removeLab(directory)
    throw error
  }
}

/**
 * Gives access to a lab that another process started.
 *
 * @param coordinates Its directory and addresses.
 * @returns The lab.
 */
export function connectLab(coordinates: LabCoordinates): SharedLab {
  const { directory, registryAddress, beanstalkdPort } = coordinates
  const engine = connectEngine(directory)
  const image = (name: string) => `${registryAddress}/${name}`
  return {
    directory,
    engine,
    registry: connectRegistry(registryAddress),
    beanstalkd: connectBeanstalkd(beanstalkdPort),
    image,
    async pushImage(name, recipe) {
      await pushImage(engine, image(name), recipe)
      return image(name)
    },
    createService: (options) => createService(engine, options),
    waitRunning: (service, reference, replicas = 1) =>
      waitRunning(engine, service, { image: reference, replicas }),
  }
}

async function engineVersion(engine: EngineClient): Promise<string> {
  return JSON.parse((await engine.request('GET', '/version')).text).Version
}

function requirePrograms(): void {
  const missing = required.filter((name) => findProgram(name) === undefined)
  if (missing.length > 0 || process.getuid?.() !== 0) {
    throw new Error(
      `The lab needs ${missing.join(', ') || 'root'}: run \`node test/prepare.mjs --lab\` as root on Debian or Ubuntu`,
    )
  }
}
