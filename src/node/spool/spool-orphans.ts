// Takes over the records that ended processes have left in SPOOL_DIR.

import { lstat, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isOwn, readRegularFile } from './regular-file.ts'
import { syncDirectory } from './spool-directory.ts'
import {
  kindOf,
  LEASE_BYTES,
  LEASE_FILE,
  leftName,
  machineOf,
  OWN_FILES,
  type SpoolLease,
} from './spool-lease.ts'
import { hasProcessEnded, LIVENESS_SOCKET } from './spool-liveness.ts'
import { keyOfFile, TEMPORARY_FILE } from './spool-records.ts'

/** Takes over the records of other processes. */
export interface SpoolOrphans {
  /**
   * Takes over all records of ended processes.
   *
   * @returns The number of other processes that seem to run.
   */
  adopt(): Promise<number>
}

/** Options of {@link createSpoolOrphans}. */
export interface SpoolOrphansOptions {
  /** The directories for records in the directory of each process. */
  readonly parts: readonly string[]
  readonly lease: SpoolLease
  /** How long a lease file must be unchanged until its lease has expired, in milliseconds. */
  readonly staleMs: number
  /** The name of this machine. */
  readonly machine: string
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number
  /** Called with the key of each record that now belongs to this process. */
  readonly onAdopted: (part: string, key: string) => void
}

/**
 * Creates the part of the store that takes over records: those of processes that have released them, of
 * processes on this machine that have ended, and of processes whose lease file was unchanged for `staleMs`
 * milliseconds of this process's own clock. It also takes over records in SPOOL_DIR itself, where an earlier
 * version of Deployer kept them.
 *
 * @param options The lease of this process, times, and the listener for records.
 * @returns The function that takes over records.
 */
export function createSpoolOrphans(options: SpoolOrphansOptions): SpoolOrphans {
  const { parts, lease, staleMs, machine, now, onAdopted } = options
  const watch = createLeaseWatch(staleMs)

  async function adopt(): Promise<number> {
    const root = lease.root()
    const entries = await readdir(root)
    let others = 0
    for (const name of entries) {
      const directory = join(root, name)
      const kind = name === lease.name() ? undefined : kindOf(name)
      if (kind === 'left') {
        await empty(directory)
        await removeEmptied(directory)
      } else if (kind === 'process') {
        const content = await readLease(directory)
        const isStale = watch.isStale(name, content, now())
        if (isStale || (await hasEnded(directory, content))) {
          await take(root, name)
        } else {
          others += 1
        }
      }
    }
    watch.keep(entries)
    await empty(root)
    return others
  }

  async function hasEnded(directory: string, content: string): Promise<boolean> {
    const isHere = machine !== '' && machineOf(content) === machine
    return isHere && (await hasProcessEnded(join(directory, LIVENESS_SOCKET)))
  }

  async function take(root: string, name: string): Promise<void> {
    const left = join(root, leftName(name))
    try {
      await rename(join(root, name), left)
    } catch {
      // Another process was faster, or the disk does not allow it. The next call of `adopt` tries again.
      return
    }
    await empty(left)
    await removeEmptied(left)
  }

  async function empty(from: string): Promise<void> {
    for (const part of parts) {
      const directory = join(from, part)
      if (await isOwnDirectory(directory)) {
        await move(directory, part)
        await rmdir(directory).catch(() => {})
      }
    }
  }

  /** Moves records one by one: if several processes do so, each record goes to exactly one of them. */
  async function move(from: string, part: string): Promise<void> {
    const moved: string[] = []
    for (const file of await list(from)) {
      if (!lease.isRecent()) {
        await lease.renew().catch(() => {})
      }
      try {
        if (TEMPORARY_FILE.test(file)) {
          await unlink(join(from, file))
          continue
        }
        await rename(join(from, file), join(lease.path(part), file))
        moved.push(file)
      } catch {
        // Another process has taken it, or the next call of `adopt` tries again.
      }
    }
    if (moved.length > 0) {
      await syncDirectory(lease.path(part)).catch(() => {})
    }
    for (const file of moved) {
      const key = keyOfFile(file)
      if (key !== undefined) {
        onAdopted(part, key)
      }
    }
  }

  return { adopt }
}

/** Detects lease files that do not change. */
export interface LeaseWatch {
  /**
   * Registers the content of a lease file.
   *
   * @param name The directory of its process.
   * @param content The content.
   * @param nowMs The time when it was read, by a monotonic clock.
   * @returns Whether the content is the same as at least `staleMs` milliseconds ago. If this process itself
   *   was stopped meanwhile, the lease is not stale, because the content that was just read is new.
   */
  isStale(name: string, content: string, nowMs: number): boolean
  /** Removes all directories except the given ones. */
  keep(names: readonly string[]): void
}

/**
 * Creates a watch over lease files.
 *
 * @param staleMs How long a file must be unchanged to be stale, in milliseconds.
 * @returns The watch.
 */
export function createLeaseWatch(staleMs: number): LeaseWatch {
  const unchanged = new Map<string, { readonly content: string; readonly sinceMs: number }>()
  return {
    isStale(name, content, nowMs) {
      const before = unchanged.get(name)
      if (before?.content !== content) {
        unchanged.set(name, { content, sinceMs: nowMs })
        return false
      }
      return nowMs - before.sinceMs >= staleMs
    },
    keep(names) {
      const kept = new Set(names)
      for (const name of unchanged.keys()) {
        if (!kept.has(name)) {
          unchanged.delete(name)
        }
      }
    },
  }
}

/** Reads the content instead of the modification time, which can be outdated in a network file system. */
async function readLease(directory: string): Promise<string> {
  try {
    const file = await readRegularFile(join(directory, LEASE_FILE), LEASE_BYTES)
    return file.kind === 'content' ? new TextDecoder().decode(file.bytes) : ''
  } catch {
    // The process ended before it wrote the file, or another process has taken over its directory.
    return ''
  }
}

/** Returns no entries for a directory that another process has removed. */
async function list(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch(() => [])
}

async function removeEmptied(directory: string): Promise<void> {
  const entries = await list(directory)
  if (entries.every((entry) => OWN_FILES.has(entry))) {
    for (const entry of entries) {
      await unlink(join(directory, entry)).catch(() => {})
    }
    await rmdir(directory).catch(() => {})
  }
}

async function isOwnDirectory(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined)
  return stats?.isDirectory() === true && isOwn(stats)
}
