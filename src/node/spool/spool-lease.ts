// The directory in which one process keeps its records, and the lease file that shows other processes that
// this one runs.
//
// Every process that shares SPOOL_DIR has its own directory, `process-<random>`, so that no process writes
// to the directory of another. To take over the records of a process that has ended, a process renames
// that directory first. If its process was only stopped for a while, its paths do not exist any more when
// it continues, so it cannot change records that belong to another process, wherever it was stopped.
// Process IDs and the clocks of other machines are not used, because processes can run in different
// containers and on different machines. On the same machine, a socket shows at once that a process has
// ended.

import { randomBytes } from 'node:crypto'
import { constants, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, ignoreErrors } from '../error-code.ts'
import { createFile } from './atomic-file.ts'
import {
  DIRECTORY_MODE,
  exists,
  FILE_MODE,
  prepareSpoolDirectory,
  syncDirectory,
} from './spool-directory.ts'
import {
  LIVENESS_SOCKET,
  type LivenessSocket,
  MACHINE_LENGTH,
  openLivenessSocket,
} from './spool-liveness.ts'

/** The file in the directory of a process that the process rewrites at intervals. */
export const LEASE_FILE = 'lease'
const COUNTER_LENGTH = 16
/** The size of a lease file, in bytes: a counter, and the machine on which the process has a socket. */
export const LEASE_BYTES: number = COUNTER_LENGTH + MACHINE_LENGTH

const PROCESS_DIRECTORY = /^process-[0-9a-f]{16,32}$/
const LEFT_DIRECTORY = /^left-[0-9a-f]{16,32}$/

/** The files in the directory of a process that are not records. */
export const OWN_FILES: ReadonlySet<string> = new Set([LEASE_FILE, LIVENESS_SOCKET])

/**
 * A full disk must not prevent a process from taking over records, because there is space again once they
 * are sent. Until then its lease is not renewed, so another process can take over the records from it.
 */
const FULL_DISK = ['ENOSPC', 'EDQUOT']

// On a full disk, no renewal succeeds.
const MAX_CONFIRM_ATTEMPTS = 3

/** The directory of this process. */
export interface SpoolLease {
  /** Returns the path of SPOOL_DIR, without links once it was prepared. */
  root(): string
  /** Returns the name of the directory in SPOOL_DIR. It changes after the directory was lost. */
  name(): string
  /** Returns the path of the directory for one kind of records. */
  path(part: string): string
  /** Creates the directory if it is missing; rejects if the disk does not allow that. */
  ensure(): Promise<void>
  /** Shows other processes that this one runs, and detects whether the directory was lost. */
  renew(): Promise<void>
  /** Renews the lease if the last renewal is not recent, to detect whether the directory was lost. */
  confirm(): Promise<void>
  /** Renews the lease, and creates directories that were removed. */
  restore(): Promise<void>
  /** Returns whether the last renewal is so recent that no other process can have taken over. */
  isRecent(): boolean
  /** Releases the directory: from then on, every process can take over the records in it. */
  release(): Promise<void>
}

/** Options of {@link createSpoolLease}. */
export interface SpoolLeaseOptions {
  /** The absolute path of SPOOL_DIR. */
  readonly root: string
  /** The names of the directories for records in the directory of a process. */
  readonly parts: readonly string[]
  /** How long after the last renewal another process can take over, in milliseconds. */
  readonly staleMs: number
  /** The name of this machine. */
  readonly machine: string
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number
  /** Called when another process has taken over the directory with all records in it. */
  readonly onLost: () => void
}

/**
 * Returns the kind of an entry of SPOOL_DIR.
 *
 * @param name The name of the entry.
 * @returns `process`: the directory of a process; `left`: a released one; undefined: neither.
 */
export function kindOf(name: string): 'process' | 'left' | undefined {
  if (PROCESS_DIRECTORY.test(name)) {
    return 'process'
  }
  return LEFT_DIRECTORY.test(name) ? 'left' : undefined
}

/**
 * Returns the name of the directory of a process after it is released.
 *
 * @param name The name of the directory of a process.
 */
export function leftName(name: string): string {
  return name.replace(/^process-/, 'left-')
}

/**
 * Returns the machine on which a process has a socket.
 *
 * @param content The content of its lease file.
 * @returns The name of the machine; empty if there is no socket.
 */
export function machineOf(content: string): string {
  return content.slice(COUNTER_LENGTH).trim()
}

/**
 * Creates the lease of this process. Does not create the directory yet.
 *
 * @param options The directory, times, and the listener for its loss.
 * @returns The lease.
 */
export function createSpoolLease(options: SpoolLeaseOptions): SpoolLease {
  const { parts, staleMs, machine, now, onLost } = options
  let root = options.root
  let name = newName()
  let isOpen = false
  let isReleased = false
  let socket: LivenessSocket | undefined
  let renewals = 0
  let renewedAtMs = Number.NEGATIVE_INFINITY
  let opening: Promise<void> | undefined
  let renewing: Promise<void> | undefined

  async function create(): Promise<void> {
    const startedAtMs = now()
    root = await prepareSpoolDirectory(options.root)
    const own = join(root, name)
    await createDirectories()
    socket?.close()
    // Before the lease file, so that a process that reads the machine in that file can connect.
    socket = await openLivenessSocket(join(own, LIVENESS_SOCKET))
    const file = join(own, LEASE_FILE)
    await createFile(file, content(), FILE_MODE).catch(ignoreErrors('EEXIST', ...FULL_DISK))
    await syncDirectory(own)
    await syncDirectory(root)
    isOpen = true
    renewedAtMs = startedAtMs
  }

  async function createDirectories(): Promise<void> {
    const own = join(root, name)
    for (const directory of [own, ...parts.map((part) => join(own, part))]) {
      await mkdir(directory, { mode: DIRECTORY_MODE }).catch(ignoreErrors('EEXIST'))
    }
    await syncDirectory(own)
  }

  /** Always of the same length, so that it can be rewritten on a full disk. */
  function content(): string {
    renewals += 1
    const socketMachine = socket === undefined ? '' : machine
    return String(renewals).padStart(COUNTER_LENGTH, '0') + socketMachine.padEnd(MACHINE_LENGTH)
  }

  async function write(): Promise<void> {
    const startedAtMs = now()
    const file = join(root, name, LEASE_FILE)
    try {
      const { O_WRONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
      const handle = await open(file, O_WRONLY | O_NOFOLLOW | O_NONBLOCK)
      try {
        await handle.write(content(), 0)
        renewedAtMs = startedAtMs
      } finally {
        await handle.close()
      }
    } catch (error) {
      ignoreErrors('ENOENT', ...FULL_DISK)(error)
      if (errorCode(error) === 'ENOENT') {
        await replace()
      }
    }
  }

  /** Called if the directory is missing: another process has taken it over, or it was removed. */
  async function replace(): Promise<void> {
    if (isReleased) {
      return
    }
    if (!(await exists(join(root, name)))) {
      const entries = await readdir(root).catch((error: unknown): readonly string[] => {
        ignoreErrors('ENOENT')(error)
        return []
      })
      if (entries.some((entry) => kindOf(entry) !== undefined)) {
        name = newName()
        isOpen = false
        onLost()
      }
    }
    await create()
  }

  async function ensure(): Promise<void> {
    if (isReleased) {
      throw new Error('the directory was released')
    }
    if (!isOpen) {
      opening ??= create().finally(() => {
        opening = undefined
      })
      await opening
    }
  }

  async function renew(): Promise<void> {
    await ensure()
    renewing ??= write().finally(() => {
      renewing = undefined
    })
    await renewing
  }

  /** Repeated, because a renewal during which the process was stopped succeeds but is not recent. */
  async function confirm(): Promise<void> {
    for (let attempts = 0; attempts < MAX_CONFIRM_ATTEMPTS && !isRecent(); attempts += 1) {
      await renew()
    }
  }

  function isRecent(): boolean {
    return now() - renewedAtMs < staleMs / 2
  }

  return {
    root: () => root,
    name: () => name,
    path: (part) => join(root, name, part),
    ensure,
    isRecent,
    renew,
    confirm,

    async restore() {
      // A renewal that is in progress may have opened its file before the directory was removed.
      await renewing?.catch(() => {})
      await renew()
      await createDirectories()
    },

    async release() {
      isReleased = true
      const own = join(root, name)
      if (!isOpen) {
        return
      }
      for (const part of parts) {
        await rmdir(join(own, part)).catch(() => {})
      }
      if ((await readdir(own)).every((entry) => OWN_FILES.has(entry))) {
        await unlink(join(own, LEASE_FILE))
        socket?.close()
        await rmdir(own)
      } else {
        await rename(own, join(root, leftName(name)))
        socket?.close()
      }
      await syncDirectory(root)
    },
  }
}

function newName(): string {
  return `process-${randomBytes(8).toString('hex')}`
}
