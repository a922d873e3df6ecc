// The record of deployments in a label of the service: which deployment wrote the spec, and how earlier
// ones ended. Other processes read it, since deployments are stored nowhere else.

import { taskTargetOf } from '../convergence/tasks.ts'
import type { ServiceSpec } from '../swarm/service.ts'
import { type EndVerdict, endVerdicts } from './verdict.ts'

/** The service label that contains the record. A change of it restarts no task. */
export const RECORD_LABEL = 'deployer.deployments'

/** The service label that contains when the request of the newest deployment came in; RFC 3339. */
export const REQUESTED_LABEL = 'deployer.requestedAt'

/** A deployment in the record. */
export interface RecordEntry {
  /** The version index that its write replaced; no other write of the service has the same. */
  readonly versionIndex: number
  /** When it was written; RFC 3339. */
  readonly startedAt: string
  /** How it ended; absent where that was not known when the next one was written. */
  readonly verdict?: EndVerdict
  /** A hash of its idempotency key and a hash of its request. */
  readonly key?: string
  /** A hash of what it wrote. Other clients keep the record when they write something else. */
  readonly wrote?: string
}

/** How many entries a record has. */
export interface RecordLimits {
  /** The maximum. Default: 8. */
  readonly maxEntries?: number
  /**
   * Whether an entry is kept elsewhere. Only the newest two entries stay in the record nevertheless. Default:
   * none is.
   */
  readonly isNoted?: (entry: RecordEntry) => boolean
}

/** The number of entries of a record that is the only history. */
export const LONG_RECORD = 8
/** The deployment that wrote the spec, and its predecessor with its verdict. */
export const SHORT_RECORD = 2

// By how much the clocks of two Deployers, as they know the engine's, may differ.
const CLOCK_UNCERTAINTY_MS = 2000

/**
 * Reads the record.
 *
 * @param spec A service's spec.
 * @returns Its deployments, newest first. Empty where there is no record, or an invalid one.
 */
export function readRecord(spec: ServiceSpec): readonly RecordEntry[] {
  const text = spec.Labels?.[RECORD_LABEL]
  const lines = text === undefined ? [] : text.split(' ')
  const entries = lines.map(parseEntry)
  return entries.every((entry) => entry !== undefined) ? entries : []
}

/**
 * Finds the deployment that wrote a spec.
 *
 * @param spec A service's spec.
 * @returns The newest of the record, if the spec still has what that deployment wrote.
 */
export function writerOf(spec: ServiceSpec): RecordEntry | undefined {
  const [newest] = readRecord(spec)
  return newest?.wrote === fingerprint(spec) ? newest : undefined
}

/**
 * Adds a deployment to the record of the spec that it writes.
 *
 * @param spec The next spec, with the record so far.
 * @param entry The deployment.
 * @param ended How earlier deployments ended.
 * @param limits How many entries the record has.
 * @returns The spec with the record.
 */
export function withRecord(
  spec: ServiceSpec,
  entry: RecordEntry,
  ended: readonly RecordEntry[],
  { maxEntries = LONG_RECORD, isNoted = () => false }: RecordLimits = {},
): ServiceSpec {
  const earlier = new Map<number, RecordEntry>()
  for (const one of [...readRecord(spec), ...ended]) {
    const { versionIndex } = one
    // Two entries for the same write are merged.
    earlier.set(versionIndex, { ...earlier.get(versionIndex), ...one })
  }
  earlier.delete(entry.versionIndex)
  const newestFirst = [...earlier.values()].sort((a, b) => b.versionIndex - a.versionIndex)
  const writer = { ...entry, wrote: fingerprint(spec) }
  // The spec does not have what earlier deployments wrote any more.
  const before = newestFirst.map(({ wrote: _, ...one }) => one)
  const needed = before.filter((one, index) => index < SHORT_RECORD - 1 || !isNoted(one))
  const text = [writer, ...needed].slice(0, maxEntries).map(formatEntry).join(' ')
  return { ...spec, Labels: { ...spec.Labels, [RECORD_LABEL]: text } }
}

/**
 * Adds the time when the request of the newest deployment came in.
 *
 * @param spec The next spec.
 * @param receivedMs The time, by the engine's clock, in milliseconds since 1970.
 * @returns The spec with the time.
 */
export function withRequestTime(spec: ServiceSpec, receivedMs: number): ServiceSpec {
  const requestedAt = new Date(receivedMs).toISOString()
  return { ...spec, Labels: { ...spec.Labels, [REQUESTED_LABEL]: requestedAt } }
}

/**
 * Finds out whether a later request has written a service since a request read it first.
 *
 * @param spec The current spec.
 * @param received The version index that the request read first, and when the request came in, by the
 *   engine's clock in milliseconds since 1970.
 * @returns The entry of the later request; undefined where there is none, or where the clocks of two
 *   Deployers do not prove which request came in later.
 */
export function laterRequest(
  spec: ServiceSpec,
  { versionIndex, atMs }: { readonly versionIndex: number; readonly atMs: number },
): RecordEntry | undefined {
  const [newest] = readRecord(spec)
  const requestedMs = Date.parse(spec.Labels?.[REQUESTED_LABEL] ?? '')
  const isLater = requestedMs > atMs + CLOCK_UNCERTAINTY_MS
  return isLater && newest !== undefined && newest.versionIndex >= versionIndex ? newest : undefined
}

/** Such as `1042/2026-11-24T14:00:00.000Z/converged//1f0a3c4d`. */
function formatEntry({ versionIndex, startedAt, verdict, key, wrote }: RecordEntry): string {
  return [versionIndex, startedAt, verdict, key, wrote].join('/')
}

/** FNV-1a of image and `ForceUpdate`, which identify the tasks of a rollout. */
function fingerprint({ TaskTemplate }: ServiceSpec): string {
  const { image = '', forceUpdate } = taskTargetOf(TaskTemplate)
  let hash = 0x811c9dc5
  for (const character of `${image} ${forceUpdate}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0
  }
  return hash.toString(16).padStart(8, '0')
}

function parseEntry(text: string): RecordEntry | undefined {
  const [version = '', startedAt = '', word = '', key = '', wrote = '', ...rest] = text.split('/')
  const versionIndex = Number(version)
  const verdict = endVerdicts.find((one) => one === word)
  const isValid =
    /^[0-9]+$/.test(version) &&
    Number.isSafeInteger(versionIndex) &&
    !Number.isNaN(Date.parse(startedAt)) &&
    (word === '' || verdict !== undefined) &&
    rest.length === 0
  return isValid
    ? {
        versionIndex,
        startedAt,
        ...(verdict === undefined ? {} : { verdict }),
        ...(key === '' ? {} : { key }),
        ...(wrote === '' ? {} : { wrote }),
      }
    : undefined
}
