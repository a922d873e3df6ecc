// What processes that are gone have left in SPOOL_DIR, and how this process takes it over.

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
import { isProcessGone, LIVENESS_SOCKET } from './spool-liveness.ts'
import { keyOfFile, TEMPORARY_FILE } from './spool-records.ts'

/** What takes over the records of other processes. */
export interface SpoolOrphans {
  /**
   * Takes over what is there to take.
   *
   * @returns How many other processes seem to live.
   */
  adopt(): Promise<number>
}

/** What it works with. */
export interface SpoolOrphansOptions {
  /** The directories for records in the directory of each process. */
  readonly parts: readonly string[]
  readonly lease: SpoolLease
  /** For how long a lease file must stay as it is until its process counts as gone, in milliseconds. */
  readonly staleMs: number
  /** The name of this machine. */
  readonly machine: string
  /** Milliseconds of a clock that is never set. */
  readonly now: () => number
  /** Is told the key of each record that is this process's from now on. */
  readonly onAdopted: (part: string, key: string) => void
}

/**
 * Makes what takes over the records of processes that are gone: those that gave them up, those on this
 * machine that have ended, and those whose lease file stayed as it is for `staleMs` milliseconds of
 * this process's own clock. An earlier
 * version of Deployer kept its records in SPOOL_DIR itself; they are taken as well.
 *
 * @param options The directory, and the lease of this process.
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
    return isHere && (await isProcessGone(join(directory, LIVENESS_SOCKET)))
  }

  async function take(root: string, name: string): Promise<void> {
    const left = join(root, leftName(name))
    try {
      await rename(join(root, name), left)
    } catch {
      // Another process was faster, or the disk does not allow it: the next look will show.
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

  /** Moves each record by itself: where several processes do so, each record has one of them. */
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
        // Another process has it, or the next look will show it again.
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

/** Which lease files stay as they are. */
export interface LeaseWatch {
  /**
   * Notes what a lease file holds.
   *
   * @param name Whose it is.
   * @param content What it holds now.
   * @param nowMs When it was read, by a clock that is never set.
   * @returns Whether it holds the same as at least `staleMs` milliseconds ago. A process that was
   *   stopped itself does not take that time for one in which nothing was written: it is what was
   *   read just now that counts.
   */
  isStale(name: string, content: string, nowMs: number): boolean
  /** Forgets all but some. */
  keep(names: readonly string[]): void
}

/**
 * Makes a watch over lease files.
 *
 * @param staleMs How long one must stay as it is, in milliseconds.
 */
export function createLeaseWatch(staleMs: number): LeaseWatch {
  const seen = new Map<string, { readonly content: string; readonly sinceMs: number }>()
  return {
    isStale(name, content, nowMs) {
      const before = seen.get(name)
      if (before?.content !== content) {
        seen.set(name, { content, sinceMs: nowMs })
        return false
      }
      return nowMs - before.sinceMs >= staleMs
    },
    keep(names) {
      const kept = new Set(names)
      for (const name of seen.keys()) {
        if (!kept.has(name)) {
          seen.delete(name)
        }
      }
    },
  }
}

/** The content, not the time of the last change: a network file system may show an old time. */
async function readLease(directory: string): Promise<string> {
  try {
    const file = await readRegularFile(join(directory, LEASE_FILE), LEASE_BYTES)
    return file.kind === 'content' ? new TextDecoder().decode(file.bytes) : ''
  } catch {
    // A process that ended before it wrote one, or one that was taken meanwhile.
    return ''
  }
}

/** A directory that another process has removed is empty. */
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
