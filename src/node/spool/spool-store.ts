// SPOOL_DIR: the records of this process, and those that it takes over from processes that are gone.

import { waitFor } from '../../async/wait-for.ts'
import type { Logger } from '../../logger.ts'
import type { Spool, SpooledRecord } from '../../notification/spool.ts'
import { errorMessage } from '../../text/error-message.ts'
import { createPlacedSpool, type PlacedSpool, type SpoolPlace } from './directory-spool.ts'
import { createSpoolLease } from './spool-lease.ts'
import { machineName } from './spool-liveness.ts'
import { createSpoolOrphans } from './spool-orphans.ts'
import { readRecords } from './spool-records.ts'
import { createSpoolSlots } from './spool-slots.ts'

/** The spools of a process in one directory. */
export interface SpoolStore<Part extends string> {
  /** One spool for each part. */
  readonly spools: Readonly<Record<Part, Spool>>
  /**
   * Ends all writing, and gives the records up: the next process takes them at once. Where the disk
   * does not answer in time, it takes them once this process seems to be gone.
   *
   * @param timeoutMs The longest that it may take, in milliseconds.
   */
  close(timeoutMs: number): Promise<void>
}

/** What {@link createSpoolStore} works with. */
export interface SpoolStoreOptions<Part extends string> {
  /** The names of the spools: letters, digits, `_` and `-`. */
  readonly parts: readonly Part[]
  /** Is told when the directory fails, and of other processes that use it for long. */
  readonly logger: Logger
  /** How often this process shows that it lives, in milliseconds. Default: 2 s. */
  readonly renewMs?: number
  /** After how long without such a sign a process counts as gone, in milliseconds. Default: 10 s. */
  readonly staleMs?: number
  /**
   * The longest that `read` waits for the end of processes that lived at the start, in milliseconds.
   * What they leave later comes by `onLeft`. Default: 60 s.
   */
  readonly waitMs?: number
  /** The longest that one wait for the disk takes, in milliseconds. Default: 5 s. */
  readonly timeoutMs?: number
  /** Names the machine. Default: the running kernel's boot ID, where the system has one. */
  readonly machine?: string
  /** Milliseconds of a clock that is never set. Default: `performance.now`. */
  readonly now?: () => number
}

/** How often it looks whether the processes before it have ended. */
const LOOK_MS = 500

/** What was taken over and not told so far. */
interface Part {
  readonly keys: string[]
  isRead: boolean
  listener?: (records: readonly SpooledRecord[]) => void
}

/**
 * Opens a directory for the records of this process. Several processes may use one directory at the
 * same time: each has its own records, at once on disk, and takes over those of a process that has
 * ended. So Deployer can be updated with the order `start-first`, and a process that was killed
 * loses nothing.
 *
 * @param directory SPOOL_DIR, from the root. It need not be there, nor usable now.
 * @param options The parts, who is told of trouble, and times.
 * @returns The spools, at work.
 */
export function createSpoolStore<Name extends string>(
  directory: string,
  options: SpoolStoreOptions<Name>,
): SpoolStore<Name> {
  const { logger, renewMs = 2000, staleMs = 10_000, waitMs = 60_000, timeoutMs = 5000 } = options
  const { machine = machineName(), now = () => performance.now() } = options
  const startedAtMs = now()
  const slots = createSpoolSlots()
  const parts = new Map<string, Part>(options.parts.map((name) => [name, createPart()]))
  const onLost: (() => void)[] = []
  const lease = createSpoolLease({
    ...{ root: directory, parts: options.parts, staleMs, machine, now },
    onLost() {
      const reason = `nothing was written for ${staleMs} ms, so this process seemed to be gone`
      logger.error({ directory, reason }, 'another process has taken over messages of this one')
      for (const tell of onLost) {
        tell()
      }
    },
  })
  const orphans = createSpoolOrphans({
    ...{ parts: options.parts, lease, staleMs, machine, now },
    onAdopted: (part, key) => parts.get(part)?.keys.push(key),
  })
  let settle: () => void = () => {}
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })
  let isSettled = false
  let isFailing = false
  let isClosed = false
  let others: number | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let working = work()
  const waitTimer = setTimeout(waitedLong, waitMs).unref()

  async function work(): Promise<void> {
    try {
      await lease.renew()
      others = await orphans.adopt()
      isFailing = false
      if (others === 0) {
        endWait()
      } else if (!isSettled && now() - startedAtMs >= waitMs) {
        waitedLong()
      }
    } catch (error) {
      if (!isFailing && !isClosed) {
        isFailing = true
        logger.error({ directory, reason: errorMessage(error) }, 'SPOOL_DIR cannot be used for now')
      }
      // What cannot be read now comes later; nothing is held back for it.
      endWait()
    }
    for (const [name, part] of parts) {
      await tellLater(name, part)
    }
    if (!isClosed) {
      const nextMs = isSettled ? renewMs : Math.min(renewMs, LOOK_MS)
      timer = setTimeout(() => {
        working = work()
      }, nextMs).unref()
    }
  }

  function endWait(): void {
    isSettled = true
    clearTimeout(waitTimer)
    settle()
  }

  function waitedLong(): void {
    const message =
      others === undefined
        ? 'SPOOL_DIR does not answer: what earlier processes left there waits until it does'
        : 'another process still uses SPOOL_DIR: messages of both are sent side by side'
    logger.error({ directory, others, waitedMs: waitMs }, message)
    endWait()
  }

  async function tellLater(name: string, part: Part): Promise<void> {
    if (part.isRead && part.keys.length > 0 && part.listener !== undefined) {
      part.listener(await readAdopted(name, part))
    }
  }

  function readAdopted(
    name: string,
    part: Part,
    unlisted: (error: unknown) => void = () => {},
  ): Promise<readonly SpooledRecord[]> {
    const keys = [...new Set(part.keys.splice(0))]
    return readRecords(lease.path(name), { directory, logger, keys, unlisted })
  }

  function placeOf(name: string, part: Part): SpoolPlace {
    return {
      path: () => lease.path(name),
      ensure: lease.ensure,
      restore: lease.restore,
      async confirm() {
        if (!isClosed) {
          await waitFor(lease.confirm(), { timeoutMs, signals: [] })
        }
      },
      async read(unlisted) {
        await settled
        const records = await readAdopted(name, part, unlisted)
        part.isRead = true
        return records
      },
      onLeft(listener) {
        part.listener = listener
      },
      onLost: (listener) => void onLost.push(listener),
    }
  }

  const placed = [...parts].map(([name, part]): readonly [string, PlacedSpool] => {
    const place = placeOf(name, part)
    return [name, createPlacedSpool(place, { directory, slots, logger, timeoutMs })]
  })

  async function release(): Promise<void> {
    await working
    await Promise.all(placed.map(([, spool]) => spool.idle()))
    for (const [, spool] of placed) {
      spool.close()
    }
    await lease.release()
  }

  return {
    spools: Object.fromEntries(placed) as Record<Name, PlacedSpool>,
    async close(timeoutMs) {
      isClosed = true
      clearTimeout(timer)
      clearTimeout(waitTimer)
      const released = release().catch((error: unknown) => {
        logger.error({ directory, reason: errorMessage(error) }, 'SPOOL_DIR could not be given up')
      })
      await waitFor(released, { timeoutMs, signals: [] })
      for (const [, spool] of placed) {
        spool.close()
      }
    },
  }
}

function createPart(): Part {
  return { keys: [], isRead: false }
}
