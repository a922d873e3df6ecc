// The directory in which one process keeps its records, and the lease file by which other processes
// see that this one lives.
//
// Every process that shares SPOOL_DIR has a directory of its own, `process-<random>`, so that no
// process ever writes among the records of another. Whoever takes over the records of a process that
// is gone renames its directory first. A process that was stopped for a while, and was taken for
// dead, then finds that its paths lead nowhere: it cannot change what is no longer its own, whatever
// moment it was stopped at. Process IDs and clocks play no part: processes may be in several
// containers, and on several machines. On one machine a socket shows at once that a process has ended.

import { randomBytes } from 'node:crypto'
import { constants, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, unless } from '../error-code.ts'
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

/** The file in the directory of a process that the process writes again and again. */
export const LEASE_FILE = 'lease'
const COUNTER_LENGTH = 16
/** How large a lease file can be, in bytes: a counter, and the machine whose socket can be asked. */
export const LEASE_BYTES: number = COUNTER_LENGTH + MACHINE_LENGTH

const PROCESS_DIRECTORY = /^process-[0-9a-f]{16,32}$/
const LEFT_DIRECTORY = /^left-[0-9a-f]{16,32}$/

/** What is in the directory of a process besides records. */
export const OWN_FILES: ReadonlySet<string> = new Set([LEASE_FILE, LIVENESS_SOCKET])

/**
 * A full disk must not keep a process from taking over records: once they are sent, there is room
 * again. Until then its lease is not renewed, so yet another process may take the records from it.
 */
const FULL_DISK = ['ENOSPC', 'EDQUOT']

// A full disk keeps a renewal from counting.
const MAX_CONFIRM_TRIES = 3

/** The directory of this process. */
export interface SpoolLease {
  /** SPOOL_DIR, without links once it was prepared. */
  root(): string
  /** The name of the directory in SPOOL_DIR; another one after the directory was lost. */
  name(): string
  /** The path of a part of it. */
  path(part: string): string
  /** Creates it unless it is there. It rejects where the disk does not allow that. */
  ensure(): Promise<void>
  /** Shows other processes that this one lives, and finds out whether the directory was lost. */
  renew(): Promise<void>
  /** Renews it where the last renewal was long ago, so that a loss is known. */
  confirm(): Promise<void>
  /** Renews it, and creates what somebody has removed from it. */
  restore(): Promise<void>
  /** Whether it was renewed so recently that no other process can have taken it. */
  isRecent(): boolean
  /** Gives it up: at once, what is in it is anybody's. */
  release(): Promise<void>
}

/** What a lease works with. */
export interface SpoolLeaseOptions {
  /** SPOOL_DIR, from the root. */
  readonly root: string
  /** The directories for records in it. */
  readonly parts: readonly string[]
  /** After how long without a renewal another process may take the directory, in milliseconds. */
  readonly staleMs: number
  /** The name of this machine. */
  readonly machine: string
  /** Milliseconds of a clock that is never set. */
  readonly now: () => number
  /** Is told that another process has taken the directory, and all the records in it. */
  readonly onLost: () => void
}

/**
 * Tells what an entry of SPOOL_DIR is.
 *
 * @param name Its name.
 * @returns `process`: the directory of a process; `left`: one that anybody may empty.
 */
export function kindOf(name: string): 'process' | 'left' | undefined {
  if (PROCESS_DIRECTORY.test(name)) {
    return 'process'
  }
  return LEFT_DIRECTORY.test(name) ? 'left' : undefined
}

/**
 * Names the directory of a process as one that anybody may empty.
 *
 * @param name The name of the directory of a process.
 */
export function leftName(name: string): string {
  return name.replace(/^process-/, 'left-')
}

/**
 * Tells on which machine a process has a socket.
 *
 * @param content What its lease file holds.
 * @returns The name of the machine; empty when there is no socket.
 */
export function machineOf(content: string): string {
  return content.slice(COUNTER_LENGTH).trim()
}

/**
 * Makes the lease of this process.
 *
 * @param options The directory, and who is told of its loss.
 * @returns The lease; nothing was created so far.
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
    // Before the lease: whoever reads of it there can connect.
    socket = await openLivenessSocket(join(own, LIVENESS_SOCKET))
    const file = join(own, LEASE_FILE)
    await createFile(file, content(), FILE_MODE).catch(unless('EEXIST', ...FULL_DISK))
    await syncDirectory(own)
    await syncDirectory(root)
    isOpen = true
    renewedAtMs = startedAtMs
  }

  async function createDirectories(): Promise<void> {
    const own = join(root, name)
    for (const directory of [own, ...parts.map((part) => join(own, part))]) {
      await mkdir(directory, { mode: DIRECTORY_MODE }).catch(unless('EEXIST'))
    }
    await syncDirectory(own)
  }

  /** Always of the same length, so that a full disk has room for it. */
  function content(): string {
    renewals += 1
    const asked = socket === undefined ? '' : machine
    return String(renewals).padStart(COUNTER_LENGTH, '0') + asked.padEnd(MACHINE_LENGTH)
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
      unless('ENOENT', ...FULL_DISK)(error)
      if (codeOf(error) === 'ENOENT') {
        await replace()
      }
    }
  }

  /** The directory is not there: another process has taken it, or somebody has removed it. */
  async function replace(): Promise<void> {
    if (isReleased) {
      return
    }
    if (!(await exists(join(root, name)))) {
      const entries = await readdir(root).catch((error: unknown): readonly string[] => {
        unless('ENOENT')(error)
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
      throw new Error('the directory was given up')
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

  /** A renewal that the process was stopped in the middle of ends well, and says nothing of now. */
  async function confirm(): Promise<void> {
    for (let tries = 0; tries < MAX_CONFIRM_TRIES && !isRecent(); tries += 1) {
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
