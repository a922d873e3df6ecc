// Performs rollouts, and counts their engine calls or measures the delay between their end and the
// response.

import type { SharedLab } from '../lab/lab.ts'
import type { CreatedService } from '../lab/services.ts'
import { sum } from './alternating-blocks.ts'
import type { CountingSocket } from './counting-socket.ts'
import type { Fleet } from './fleet.ts'

/** Resolves when the service has converged according to the tool. */
type RollOut = (service: string, image: string) => Promise<void>

/** A tool that performs rollouts. */
export interface Roller {
  /** Directly on the engine. */
  readonly direct: RollOut
  /** Through the proxy that counts calls. */
  readonly counted: RollOut
  readonly socket: CountingSocket
}

/** Measurements of rollouts. */
export interface Rounds {
  /** Engine calls for each rollout. */
  readonly calls: number[]
  /** From the engine's `CompletedAt` to the answer, for each rollout. */
  readonly delaysMs: number[]
}

/** Services that are updated at the same time, and their measurements so far. */
export interface ServiceGroup {
  readonly services: readonly CreatedService[]
  readonly fleet: Fleet
  readonly rounds: Rounds
}

/**
 * Creates a group from services of a fleet.
 *
 * @param fleet The fleet.
 * @param size How many services.
 * @returns The group, without measurements.
 */
export function createServiceGroup(fleet: Fleet, size: number): ServiceGroup {
  return { services: fleet.services.slice(0, size), fleet, rounds: { calls: [], delaysMs: [] } }
}

/**
 * Performs one rollout of each service, all at the same time, and counts the engine calls.
 *
 * @param lab The lab.
 * @param roller The tool.
 * @param group The services; receives the counts.
 */
export async function countCalls(
  lab: SharedLab,
  { socket, counted }: Roller,
  group: ServiceGroup,
): Promise<void> {
  socket.reset()
  await rollOutTo(group, counted)
  const calls = socket.calls()
  // Throws unless the engine has completed all rollouts.
  await Promise.all(group.services.map(({ id }) => completedAt(lab, id)))
  group.rounds.calls.push(...callsFor(group.services, calls))
}

/**
 * Performs one rollout of each service, all at the same time, and measures the delays.
 *
 * @param lab The lab.
 * @param roller The tool.
 * @param group The services; receives the delays.
 */
export async function measureDelays(
  lab: SharedLab,
  { direct }: Roller,
  group: ServiceGroup,
): Promise<void> {
  const ends = await rollOutTo(group, direct)
  const delays = ends.map(async ({ id, endMs }) => endMs - (await completedAt(lab, id)))
  group.rounds.delaysMs.push(...(await Promise.all(delays)))
}

function rollOutTo(
  { services, fleet }: ServiceGroup,
  rollOut: RollOut,
): Promise<readonly { readonly id: string; readonly endMs: number }[]> {
  return Promise.all(
    services.map(async ({ id, name }) => {
      await rollOut(name, fleet.nextImage(name))
      return { id, endMs: Date.now() }
    }),
  )
}

/** Divides calls that are not for one of the services evenly. */
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
  if (State !== 'completed') throw new Error(`The rollout is "${State}" instead of completed`)
  return Date.parse(CompletedAt)
}
