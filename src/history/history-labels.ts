// A history as labels: the name of the service, the format, and one label for each deployment.

import { endVerdicts } from '../deployment/verdict.ts'
import { isForceUpdate } from '../swarm/force-update.ts'
import { byteLength, cutToBytes } from '../text/bytes.ts'
import type { HistoryEntry } from './history-entry.ts'
import { FORMAT_LABEL } from './history-store.ts'
import { entryKey, mergeAll } from './merge-entries.ts'

type Labels = Readonly<Record<string, string>>

/** The label with the name of the service. */
export const SERVICE_LABEL = 'deployer.service'
/** The label with the time when the service was found to be removed; RFC 3339. */
export const REMOVED_LABEL = 'deployer.removedAt'
/** The format of the labels. */
export const FORMAT = '1'

const ENTRY_PREFIX = 'deployer.deployment.'
const MAX_ENTRY_BYTES = 700
const MAX_BYTES = 36 * 1024
const MAX_METADATA_BYTES = 200
const KEY = /^([0-9]{1,16})-([0-9a-z]{1,11})$/

/** What is added to a history. */
export interface HistoryNotes {
  /** The name of the service. */
  readonly service: string
  readonly entries: readonly HistoryEntry[]
  /** When the service was found to be removed; RFC 3339. */
  readonly removedAt?: string | undefined
}

/**
 * Reads the entries of a history.
 *
 * @param labels Its labels.
 * @returns The entries, newest first, without those that are invalid.
 */
export function readEntries(labels: Labels): readonly HistoryEntry[] {
  const entries = Object.entries(labels).flatMap(([name, value]) => parseEntry(name, value) ?? [])
  return mergeAll(entries, [])
}

/**
 * Adds notes to a history.
 *
 * @param labels The labels so far; none for a new history. Labels that other versions wrote are kept.
 * @param notes What is added.
 * @param maxEntries How many entries are kept: the newest ones, and the newest that converged.
 * @returns The labels, at most 36 KiB of entries of at most 700 bytes.
 */
export function withNotes(labels: Labels, notes: HistoryNotes, maxEntries: number): Labels {
  const merged = mergeAll(readEntries(labels), notes.entries)
  const kept = limit(
    merged.map((entry) => ({ entry, text: formatEntry(entry, rawEntry(labels, entry)) })),
    maxEntries,
  )
  const others = Object.entries(labels).filter(([name]) => !name.startsWith(ENTRY_PREFIX))
  const { removedAt } = notes
  return Object.fromEntries([
    ...others,
    [FORMAT_LABEL, FORMAT],
    [SERVICE_LABEL, notes.service],
    ...(removedAt === undefined ? [] : [[REMOVED_LABEL, labels[REMOVED_LABEL] ?? removedAt]]),
    ...kept.map(({ entry, text }) => [labelOf(entry), text]),
  ])
}

interface FormattedEntry {
  readonly entry: HistoryEntry
  readonly text: string
}

/** Drops the oldest entries, but never the newest one that converged. */
function limit(entries: readonly FormattedEntry[], maxEntries: number): readonly FormattedEntry[] {
  const converged = entries.find(({ entry: { verdict } }) => verdict === 'converged')
  let free = MAX_BYTES
  let left = maxEntries
  const take = ({ entry, text }: FormattedEntry): boolean => {
    const size = byteLength(labelOf(entry)) + byteLength(text)
    const fits = left > 0 && size <= free
    left -= fits ? 1 : 0
    free -= fits ? size : 0
    return fits
  }
  const first = new Set(converged === undefined || !take(converged) ? [] : [converged])
  return entries.filter((entry) => first.has(entry) || take(entry))
}

function labelOf(entry: HistoryEntry): string {
  return `${ENTRY_PREFIX}${entryKey(entry)}`
}

/** Members that other versions wrote are kept. */
function rawEntry(labels: Labels, entry: HistoryEntry): object {
  return parseObject(labels[labelOf(entry)] ?? '')
}

/** The members that are given up first where an entry is too long; `error` is cut before. */
const OPTIONAL = ['run', 'commit', 'previous', 'caller', 'image', 'template', 'key'] as const

function formatEntry(entry: HistoryEntry, raw: object): string {
  const { versionIndex: _, startedAt: __, commit, run, ...rest } = entry
  const members: Record<string, unknown> = {
    ...raw,
    ...rest,
    ...(commit === undefined ? {} : { commit: cutToBytes(commit, MAX_METADATA_BYTES) }),
    ...(run === undefined ? {} : { run: cutToBytes(run, MAX_METADATA_BYTES) }),
  }
  if (typeof members.error === 'string') {
    members.error = cutError(members, members.error)
  }
  for (const name of OPTIONAL) {
    if (byteLength(JSON.stringify(members)) > MAX_ENTRY_BYTES) {
      delete members[name]
    }
  }
  return JSON.stringify(members)
}

/** JSON may need several bytes for a character, so the cut is repeated until the text fits. */
function cutError(members: Readonly<Record<string, unknown>>, error: string): string {
  let cut = error
  for (;;) {
    const excess = byteLength(JSON.stringify({ ...members, error: cut })) - MAX_ENTRY_BYTES
    if (excess <= 0 || cut === '') {
      return cut
    }
    cut = cutToBytes(cut, Math.max(0, byteLength(cut) - excess))
  }
}

const TEXTS = [
  'image',
  'resolved',
  'previous',
  'caller',
  'error',
  'key',
  'commit',
  'run',
  'template',
] as const

function parseEntry(name: string, value: string): HistoryEntry | undefined {
  const [, index, start = ''] =
    (name.startsWith(ENTRY_PREFIX) && KEY.exec(name.slice(ENTRY_PREFIX.length))) || []
  const [versionIndex, startMs] = [Number(index), Number.parseInt(start, 36)]
  if (!Number.isSafeInteger(versionIndex) || !(startMs < 8.64e15)) {
    return undefined
  }
  const members = parseObject(value)
  const { verdict, kind, forceUpdate, endedAt } = members
  const known = endVerdicts.find((one) => one === verdict)
  const texts = TEXTS.flatMap((text) => {
    const member = members[text]
    return typeof member === 'string' ? [[text, member]] : []
  })
  return {
    ...{ versionIndex, startedAt: new Date(startMs).toISOString() },
    ...Object.fromEntries(texts),
    ...(known === undefined ? {} : { verdict: known }),
    ...(kind === 'deploy' || kind === 'outside' ? { kind } : {}),
    ...(isForceUpdate(forceUpdate) ? { forceUpdate } : {}),
    ...(isTime(endedAt) ? { endedAt } : {}),
  }
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value))
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {}
  } catch {
    return {}
  }
}
