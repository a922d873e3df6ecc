// Rounds of rollouts: their engine calls, counted, or the delay between their end and the answer.

import type { SharedLab } from '../lab/lab.ts'
import type { CreatedService } from '../lab/services.ts'
import { sum } from './blocks.ts'
import type { CountingSocket } from './counting-socket.ts'
import type { Fleet } from './fleet.ts'

/** Ends when the service has converged, as far as one can tell. */
type RollOut = (service: string, image: string) => Promise<void>

/** Who rolls images out. */
export interface Roller {
  /** Straight from the engine. */
  readonly direct: RollOut
  /** Through a socket that counts. */
  readonly counted: RollOut
  readonly socket: CountingSocket
}

/** What rollouts came to. */
export interface Rounds {
  /** Engine calls for each rollout. */
  readonly calls: number[]
  /** From the engine's `CompletedAt` to the answer, for each rollout. */
  readonly delaysMs: number[]
}

/** Services that get an image at the same time, and what it came to so far. */
export interface Crowd {
  readonly services: readonly CreatedService[]
  readonly fleet: Fleet
  readonly rounds: Rounds
}

/**
 * Takes some services of a fleet.
 *
 * @param fleet The fleet.
 * @param size How many services.
 * @returns The crowd, without a round yet.
 */
export function createCrowd(fleet: Fleet, size: number): Crowd {
  return { services: fleet.services.slice(0, size), fleet, rounds: { calls: [], delaysMs: [] } }
}

/**
 * Rolls out once on each service, all at the same time, and counts the engine calls.
 *
 * @param lab The lab.
 * @param roller Who rolls out.
 * @param crowd The services; keeps the counts.
 */
export async function countCalls(
  lab: SharedLab,
  { socket, counted }: Roller,
  crowd: Crowd,
): Promise<void> {
  socket.reset()
  await rollOutTo(crowd, counted)
  const calls = socket.calls()
  // A rollout that the engine has not completed is not one to be counted.
  await Promise.all(crowd.services.map(({ id }) => completedAt(lab, id)))
  crowd.rounds.calls.push(...callsFor(crowd.services, calls))
}

/**
 * Rolls out once on each service, all at the same time, and measures the delays.
 *
 * @param lab The lab.
 * @param roller Who rolls out.
 * @param crowd The services; keeps the delays.
 */
export async function measureDelays(
  lab: SharedLab,
  { direct }: Roller,
  crowd: Crowd,
): Promise<void> {
  const ends = await rollOutTo(crowd, direct)
  const delays = ends.map(async ({ id, endMs }) => endMs - (await completedAt(lab, id)))
  crowd.rounds.delaysMs.push(...(await Promise.all(delays)))
}

function rollOutTo(
  { services, fleet }: Crowd,
  rollOut: RollOut,
): Promise<readonly { readonly id: string; readonly endMs: number }[]> {
  return Promise.all(
    services.map(async ({ id, name }) => {
      await rollOut(name, fleet.nextImage(name))
      return { id, endMs: Date.now() }
    }),
  )
}

/** A call that names none of the services is shared by all. */
function callsFor(
  services: readonly CreatedService[],
  calls: readonly string[],
): readonly number[] {
  const own = services.map(({ id, name }) => {
    const naming = new RegExp(`\\b(?:${id}|${name})\\b`)
    return calls.filter((call) => naming.test(call)).length
  })
  const shared = (calls.length - sum(own)) / services.length
  return own.map((count) => count + shared)
}

async function completedAt(lab: SharedLab, id: string): Promise<number> {
  const { text } = await lab.engine.request('GET', `/services/${id}`)
  const { State, CompletedAt } = JSON.parse(text).UpdateStatus
  if (State !== 'completed') throw new Error(`The rollout is "${State}", and not completed`)
  return Date.parse(CompletedAt)
}
