// The services to which both sides deploy, with two images in turn.

import type { SharedLab } from '../lab/lab.ts'
import type { CreatedService } from '../lab/services.ts'
import type { Side } from './bare-engine.ts'

/** The services. */
export interface Fleet {
  readonly services: readonly CreatedService[]
  /**
   * Returns the next image of a service, which alternates.
   *
   * @param name Name of the service.
   * @returns A complete reference.
   */
  nextImage(name: string): string
  /**
   * Deploys, one deployment after the other on each service.
   *
   * @param side The side that deploys.
   * @param work Number of services, which are updated at the same time, and of deployments on each.
   * @returns The time of each deployment in milliseconds.
   */
  deploy(side: Side, work: { services: number; times: number }): Promise<readonly number[]>
  /** Removes the services. */
  remove(): Promise<void>
}

/** Properties of the services. */
export interface FleetOptions {
  /** Prefix of their names, which `-` and a number from 0 on follow. */
  readonly name: string
  readonly size: number
  /** Default: 0. */
  readonly replicas?: number
  /** More flags of `docker service create`. */
  readonly args?: readonly string[]
}

const CREATED_AT_ONCE = 8

/**
 * Creates the services, and waits until their tasks run.
 *
 * @param lab The lab.
 * @param options Number and properties of the services.
 * @returns The fleet.
 */
export async function createFleet(lab: SharedLab, options: FleetOptions): Promise<Fleet> {
  const { name: prefix, size, replicas = 0, args = [] } = options
  const images = [lab.image('lab/app:v1'), lab.image('lab/app:v2')] as const
  const labels = { 'deployer.allowUpdates': 'true' }
  const common = { image: images[0], replicas, labels, args }
  const services: CreatedService[] = []
  for (let from = 0; from < size; from += CREATED_AT_ONCE) {
    const indices = Array.from(
      { length: Math.min(CREATED_AT_ONCE, size - from) },
      (_, i) => from + i,
    )
    const create = (index: number) => lab.createService({ ...common, name: `${prefix}-${index}` })
    const batch = await Promise.all(indices.map(create))
    await Promise.all(batch.map(({ name }) => lab.waitRunning(name, images[0], replicas)))
    services.push(...batch)
  }
  const turns = new Map<string, number>()

  function nextImage(name: string): string {
    const turn = (turns.get(name) ?? 0) + 1
    turns.set(name, turn)
    return turn % 2 === 0 ? images[0] : images[1]
  }

  async function deployTo(name: string, side: Side): Promise<number> {
    const startedAt = performance.now()
    await side.deploy(name, nextImage(name))
    return performance.now() - startedAt
  }

  async function deploy(
    side: Side,
    work: { services: number; times: number },
  ): Promise<readonly number[]> {
    const durations: number[] = []
    const workers = services.slice(0, work.services).map(async ({ name }) => {
      for (let time = 0; time < work.times; time += 1) {
        durations.push(await deployTo(name, side))
      }
    })
    await Promise.all(workers)
    return durations
  }

  async function remove(): Promise<void> {
    await lab.engine.docker('service', 'rm', ...services.map(({ id }) => id))
  }

  return { services, nextImage, deploy, remove }
}
