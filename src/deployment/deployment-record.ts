// The record that Deployer keeps in a label of the service: which deployment wrote the spec, and how
// those before it ended. Only there can another process find what this one knew.

import { taskTargetOf } from '../convergence/tasks.ts'
import type { ServiceSpec } from '../swarm/service.ts'
import { type EndVerdict, endVerdicts } from './verdict.ts'

/** The service label that holds the record; it restarts no task. */
export const RECORD_LABEL = 'deployer.deployments'

/** A deployment as the record has it. */
export interface RecordEntry {
  /** The version index that its write replaced; no other write of the service has the same. */
  readonly versionIndex: number
  /** When it was written; RFC 3339. */
  readonly startedAt: string
  /** How it ended, as far as that was known when the next one was written. */
  readonly verdict?: EndVerdict
  /** A hash of its idempotency key and one of its request. */
  readonly key?: string
  /** What it wrote, in short: others keep the record when they write something else. */
  readonly wrote?: string
}

const MAX_ENTRIES = 8

/**
 * Reads the record.
 *
 * @param spec A service's spec.
 * @returns Its deployments, newest first: the first one wrote this spec. Empty where there is no
 *   record, or none that can be read.
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
 * @returns The newest of the record, if the spec still has what that one wrote.
 */
export function writerOf(spec: ServiceSpec): RecordEntry | undefined {
  const [newest] = readRecord(spec)
  return newest?.wrote === fingerprint(spec) ? newest : undefined
}

/**
 * Puts a deployment into the record of the spec that it writes.
 *
 * @param spec The spec that is to be written.
 * @param entry The deployment.
 * @param ended How earlier deployments ended, as far as this process knows.
 * @returns The spec with the record.
 */
export function withRecord(
  spec: ServiceSpec,
  entry: RecordEntry,
  ended: readonly RecordEntry[],
): ServiceSpec {
  const earlier = new Map<number, RecordEntry>()
  for (const one of [...readRecord(spec), ...ended]) {
    const { versionIndex } = one
    // Of what is known twice, each member counts that is there.
    earlier.set(versionIndex, { ...earlier.get(versionIndex), ...one })
  }
  earlier.delete(entry.versionIndex)
  const newestFirst = [...earlier.values()].sort((a, b) => b.versionIndex - a.versionIndex)
  const writer = { ...entry, wrote: fingerprint(spec) }
  // What earlier ones wrote is not to be seen any more.
  const before = newestFirst.map(({ wrote: _, ...one }) => one)
  const text = [writer, ...before].slice(0, MAX_ENTRIES).map(formatEntry).join(' ')
  return { ...spec, Labels: { ...spec.Labels, [RECORD_LABEL]: text } }
}

/** Such as `1042/2026-11-24T14:00:00.000Z/converged//1f0a3c4d`. */
function formatEntry({ versionIndex, startedAt, verdict, key, wrote }: RecordEntry): string {
  return [versionIndex, startedAt, verdict, key, wrote].join('/')
}

/** FNV-1a of image and `ForceUpdate`, which are all that makes the tasks of a rollout. */
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
