// A spool in memory: what a restart finds is what was put so far.

import type { Spool, SpooledRecord } from '../../src/notification/spool.ts'

/** The fake, and what a test may ask and do. */
export interface FakeSpool extends Spool {
  /** Each call in order, such as `put 1-a` and `remove 1-a`. */
  readonly calls: readonly string[]
  /** What it holds, by key, as JSON. */
  readonly records: Map<string, string>
  /** What it holds, in the order of the keys. */
  values(): readonly unknown[]
  /** Runs before each put resolves. Default: nothing. */
  beforePut: (key: string, value: unknown) => void | Promise<void>
  /** Whether what is put would outlive the process. Default: true. */
  isGood: boolean
  /** Has another process leave a record while this one runs. */
  leave(key: string, value: unknown): void
  /** The keys of records that another process has taken over. */
  readonly foreign: Set<string>
  /** Another spool with the same records: what a process that is killed now leaves behind. */
  copy(): FakeSpool
}

export function createFakeSpool(records: Map<string, string> = new Map()): FakeSpool {
  const calls: string[] = []
  const entries = (): (readonly [string, string])[] =>
    [...records].sort(([a], [b]) => (a < b ? -1 : 1))
  let tell: (records: readonly SpooledRecord[]) => void = () => {}
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
      tell = listener
    },

    leave(key, value) {
      records.set(key, JSON.stringify(value))
      tell([{ key, value }])
    },
  }
  return fake
}
