// Services that both sides deploy to, between two images in turn.

import type { SharedLab } from '../lab/lab.ts'
import type { CreatedService } from '../lab/services.ts'
import type { Side } from './bare-engine.ts'

/** The services. */
export interface Fleet {
  readonly services: readonly CreatedService[]
  /**
   * The image that is deployed to a service next: each time the other one.
   *
   * @param name The service's name.
   * @returns A full reference.
   */
  nextImage(name: string): string
  /**
   * Deploys, one deployment after the other on each service.
   *
   * @param side By which side.
   * @param work On how many services at once, and how many times on each.
   * @returns How many milliseconds each deployment took.
   */
  deploy(side: Side, work: { services: number; times: number }): Promise<readonly number[]>
  /** Removes the services. */
  remove(): Promise<void>
}

/** What the services are like. */
export interface FleetOptions {
  /** Their names are this, `-` and a number from 0 on. */
  readonly name: string
  readonly size: number
  /** Without tasks unless told. */
  readonly replicas?: number
  /** More flags of `docker service create`. */
  readonly args?: readonly string[]
}

const CREATED_AT_ONCE = 8

/**
 * Creates the services, and waits until their tasks run.
 *
 * @param lab The lab.
 * @param options How many services, and what they are like.
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
