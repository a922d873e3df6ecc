// Reads the engine's event stream: one JSON object per line becomes a `ServiceEvent`.

import split2 from 'split2'
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

const MAX_LINE_LENGTH = 64 * 1024

// Quotes inside a JSON string are escaped, so this matches only a key and its number.
const TIME = /"timeNano":\s*([0-9]+)(?=[\s,}])/g

const ACTIONS: readonly unknown[] = [
  'create',
  'update',
  'remove',
] satisfies ServiceEvent['action'][]

/**
 * Creates a parser for the event stream. Events and characters may be split over several chunks.
 *
 * @returns A function that takes the next chunk and returns the service events that it completes.
 *   Other lines, and lines of more than 64 Ki characters, are skipped.
 */
export function createServiceEventParser(): (chunk: Buffer) => readonly ServiceEvent[] {
  const splitter = split2(parseServiceEvent, { maxLength: MAX_LINE_LENGTH, skipOverflow: true })
  return (chunk) => {
    // The splitter works synchronously as long as it is emptied after each chunk. It is never
    // ended: a last line without a line break is an event that was cut off.
    splitter.write(chunk)
    const events: ServiceEvent[] = []
    for (let event = splitter.read(); event !== null; event = splitter.read()) {
      events.push(event)
    }
    return events
  }
}

/**
 * Parses one line of the event stream.
 *
 * @param line JSON text.
 * @returns The event; undefined if the line is not JSON or does not describe a change of a service.
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
    ...(isNonEmptyString(updateState) ? { updateState } : {}),
    ...(isNonEmptyString(image) ? { image } : {}),
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

function isNonEmptyString(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** Dropping the last six digits converts nanoseconds to whole milliseconds without rounding. */
function milliseconds(nanoseconds: unknown): number | undefined {
  const isTime = typeof nanoseconds === 'string' && /^[0-9]{7,19}$/.test(nanoseconds)
  return isTime ? Number(nanoseconds.slice(0, -6)) : undefined
}
