// A spool in memory.

import type { Spool, SpooledRecord } from '../../src/notification/spool.ts'

/** The fake spool, with members for tests. */
export interface FakeSpool extends Spool {
  /** The calls so far, such as `put 1-a` and `remove 1-a`. */
  readonly calls: readonly string[]
  /** The records by key, as JSON. */
  readonly records: Map<string, string>
  /** The values of the records, in the order of the keys. */
  values(): readonly unknown[]
  /** Called before each put resolves. Default: does nothing. */
  beforePut: (key: string, value: unknown) => void | Promise<void>
  /** Whether records would survive the end of the process. Default: true. */
  isGood: boolean
  /** Simulates that another process ends and leaves a record. */
  leave(key: string, value: unknown): void
  /** The keys of records that another process owns now. */
  readonly foreign: Set<string>
  /** A spool with a copy of the records, as after a kill of the process at this time. */
  copy(): FakeSpool
}

export function createFakeSpool(records: Map<string, string> = new Map()): FakeSpool {
  const calls: string[] = []
  const entries = (): (readonly [string, string])[] =>
    [...records].sort(([a], [b]) => (a < b ? -1 : 1))
  let notifyLeft: (records: readonly SpooledRecord[]) => void = () => {}
  const fake: FakeSpool = {
    calls,
    records,
    isGood: true,
    beforePut() {},
    values: () => entries().map(([, json]) => JSON.parse(json)),
    copy: () => createFakeSpool(new Map(records)),

    async put(key, value) {
      calls.push(`put ${key}`)
      records.set(key, JSON.stringify(value))
      await fake.beforePut(key, value)
    },

    async remove(key) {
      calls.push(`remove ${key}`)
      records.delete(key)
    },

    read: async () => entries().map(([key, json]) => ({ key, value: JSON.parse(json) })),
    isSafe: (key) => fake.isGood && records.has(key),
    foreign: new Set(),
    owns: async (key) => !fake.foreign.has(key),

    onLeft(listener) {
      notifyLeft = listener
    },

    leave(key, value) {
      records.set(key, JSON.stringify(value))
      notifyLeft([{ key, value }])
    },
  }
  return fake
}
