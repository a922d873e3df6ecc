// One line of the engine's event stream, and what it tells of a service.

import type { ServiceEvent } from '../../swarm/swarm.ts'

interface EngineEvent {
  readonly Type?: unknown
  readonly Action?: unknown
  readonly Actor?: {
    readonly ID?: unknown
    readonly Attributes?: Readonly<Record<string, unknown>> | null
  } | null
  /** Nanoseconds since 1970, as digits: more than a JavaScript number holds. */
  readonly timeNano?: unknown
}

// Within a string the quotes would be escaped, so this is a key and its number.
const TIME = /"timeNano":\s*([0-9]+)(?=[\s,}])/g

const ACTIONS: readonly unknown[] = [
  'create',
  'update',
  'remove',
] satisfies ServiceEvent['action'][]

/**
 * Reads a line.
 *
 * @param line JSON, if it is what it should be.
 * @returns The event; undefined when the line tells of no change of a service.
 */
export function parseServiceEvent(line: string): ServiceEvent | undefined {
  const { Type, Action, Actor, timeNano } = parseObject(line)
  const timeMs = milliseconds(timeNano)
  const serviceId = Actor?.ID
  if (
    Type !== 'service' ||
    !isAction(Action) ||
    typeof serviceId !== 'string' ||
    timeMs === undefined
  ) {
    return undefined
  }
  const updateState = Actor?.Attributes?.['updatestate.new']
  const image = Actor?.Attributes?.['image.new']
  return {
    serviceId,
    action: Action,
    ...(isWord(updateState) ? { updateState } : {}),
    ...(isWord(image) ? { image } : {}),
    timeMs,
  }
}

function parseObject(line: string): EngineEvent {
  try {
    const value: unknown = JSON.parse(line.replace(TIME, '"timeNano":"$1"'))
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function isAction(value: unknown): value is ServiceEvent['action'] {
  return ACTIONS.includes(value)
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** The last six digits go: the rest is exact. */
function milliseconds(nanoseconds: unknown): number | undefined {
  const isTime = typeof nanoseconds === 'string' && /^[0-9]{7,19}$/.test(nanoseconds)
  return isTime ? Number(nanoseconds.slice(0, -6)) : undefined
}
