// Services without tasks that both sides deploy to, between two images in turn.

import type { SharedLab } from '../lab/lab.ts'
import type { Side } from './bare-engine.ts'

/** The services. */
export interface Fleet {
  /**
   * Deploys, one deployment after the other on each service.
   *
   * @param side By which side.
   * @param work On how many services at once, and how many times on each.
   * @returns How many milliseconds each deployment took.
   */
  deploy(side: Side, work: { services: number; times: number }): Promise<readonly number[]>
}

const CREATED_AT_ONCE = 8

/**
 * Creates the services.
 *
 * @param lab The lab.
 * @param size How many services.
 * @returns The fleet.
 */
export async function createFleet(lab: SharedLab, size: number): Promise<Fleet> {
  const images = [lab.image('lab/app:v1'), lab.image('lab/app:v2')] as const
  const names = Array.from({ length: size }, (_, index) => `bench-${index}`)
  const labels = { 'deployer.allowUpdates': 'true' }
  for (let from = 0; from < size; from += CREATED_AT_ONCE) {
    const batch = names.slice(from, from + CREATED_AT_ONCE)
    await Promise.all(
      batch.map((name) => lab.createService({ name, image: images[0], replicas: 0, labels })),
    )
  }
  const turns = new Map<string, number>()

  async function deployTo(name: string, side: Side): Promise<number> {
    const turn = (turns.get(name) ?? 0) + 1
    turns.set(name, turn)
    const startedAt = performance.now()
    await side.deploy(name, turn % 2 === 0 ? images[0] : images[1])
    return performance.now() - startedAt
  }

  async function deploy(
    side: Side,
    { services, times }: { services: number; times: number },
  ): Promise<readonly number[]> {
    const durations: number[] = []
    const workers = names.slice(0, services).map(async (name) => {
      for (let time = 0; time < times; time += 1) {
        durations.push(await deployTo(name, side))
      }
    })
    await Promise.all(workers)
    return durations
  }

  return { deploy }
}
