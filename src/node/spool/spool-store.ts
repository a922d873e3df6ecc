// SPOOL_DIR: keeps the records of this process, and takes over those of processes that have ended.

import { waitFor } from '../../async/wait-for.ts'
import type { Logger } from '../../logger.ts'
import type { Spool, SpooledRecord } from '../../notification/spool.ts'
import { errorMessage } from '../../text/error-message.ts'
import { createLocatedSpool, type LocatedSpool, type SpoolLocation } from './directory-spool.ts'
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
   * Stops all writing and releases the records, so that the next process can take them over at once. If the
   * disk does not respond in time, it takes them over after the lease of this process has expired.
   *
   * @param timeoutMs How long it may take, in milliseconds.
   */
  close(timeoutMs: number): Promise<void>
}

/** Options of {@link createSpoolStore}. */
export interface SpoolStoreOptions<Part extends string> {
  /** The names of the spools: letters, digits, `_` and `-`. */
  readonly parts: readonly Part[]
  /** Logs when the directory fails, and when another process uses it for a long time. */
  readonly logger: Logger
  /** How often this process renews its lease, in milliseconds. Default: 2 s. */
  readonly renewMs?: number
  /** How long after its last renewal a lease expires, in milliseconds. Default: 10 s. */
  readonly staleMs?: number
  /**
   * How long `read` waits for the end of processes that ran at startup, in milliseconds. The records that
   * they leave later are passed to the listener of `onLeft`. Default: 60 s.
   */
  readonly waitMs?: number
  /** How long one operation waits for the disk, in milliseconds. Default: 5 s. */
  readonly timeoutMs?: number
  /** Identifies the machine. Default: the boot ID of the kernel, if the system has one. */
  readonly machine?: string
  /** A monotonic clock, in milliseconds. Default: `performance.now`. */
  readonly now?: () => number
}

/** How often it checks whether earlier processes have ended. */
const CHECK_EVERY_MS = 500

/** The records of one spool that were taken over and not returned yet. */
interface Part {
  readonly keys: string[]
  isRead: boolean
  listener?: (records: readonly SpooledRecord[]) => void
}

/**
 * Opens a directory for the records of this process. Several processes can use the directory at the same
 * time: each writes its own records, and takes over those of processes that have ended. Therefore Deployer
 * can be updated with the order `start-first`, and the records of a killed process are not lost.
 *
 * @param directory The absolute path of SPOOL_DIR. It can be missing or unusable at this time.
 * @param options The names of the spools, how errors are reported, and times.
 * @returns The spools.
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
      const reason = `the lease of this process was not renewed for ${staleMs} ms`
      logger.error({ directory, reason }, 'another process has taken over messages of this one')
      for (const listener of onLost) {
        listener()
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
  const waitTimer = setTimeout(stopWaiting, waitMs).unref()

  async function work(): Promise<void> {
    try {
      await lease.renew()
      others = await orphans.adopt()
      isFailing = false
      if (others === 0) {
        endWait()
      } else if (!isSettled && now() - startedAtMs >= waitMs) {
        stopWaiting()
      }
    } catch (error) {
      if (!isFailing && !isClosed) {
        isFailing = true
        logger.error({ directory, reason: errorMessage(error) }, 'SPOOL_DIR cannot be used for now')
      }
      // Records that cannot be read now are passed on later; nothing waits for them.
      endWait()
    }
    for (const [name, part] of parts) {
      await passToListener(name, part)
    }
    if (!isClosed) {
      const nextMs = isSettled ? renewMs : Math.min(renewMs, CHECK_EVERY_MS)
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

  function stopWaiting(): void {
    const message =
      others === undefined
        ? 'SPOOL_DIR does not respond: messages of earlier processes are sent once it does'
        : 'another process still uses SPOOL_DIR: messages of both are sent concurrently'
    logger.error({ directory, others, waitedMs: waitMs }, message)
    endWait()
  }

  async function passToListener(name: string, part: Part): Promise<void> {
    if (part.isRead && part.keys.length > 0 && part.listener !== undefined) {
      part.listener(await readAdopted(name, part))
    }
  }

  function readAdopted(
    name: string,
    part: Part,
    onListError: (error: unknown) => void = () => {},
  ): Promise<readonly SpooledRecord[]> {
    const keys = [...new Set(part.keys.splice(0))]
    return readRecords(lease.path(name), { directory, logger, keys, onListError })
  }

  function locationOf(name: string, part: Part): SpoolLocation {
    return {
      path: () => lease.path(name),
      ensure: lease.ensure,
      restore: lease.restore,
      async confirm() {
        if (!isClosed) {
          await waitFor(lease.confirm(), { timeoutMs, signals: [] })
        }
      },
      async read(onListError) {
        await settled
        const records = await readAdopted(name, part, onListError)
        part.isRead = true
        return records
      },
      onLeft(listener) {
        part.listener = listener
      },
      onLost: (listener) => void onLost.push(listener),
    }
  }

  const located = [...parts].map(([name, part]): readonly [string, LocatedSpool] => {
    const location = locationOf(name, part)
    return [name, createLocatedSpool(location, { directory, slots, logger, timeoutMs })]
  })

  async function release(): Promise<void> {
    await working
    await Promise.all(located.map(([, spool]) => spool.idle()))
    for (const [, spool] of located) {
      spool.close()
    }
    await lease.release()
  }

  return {
    spools: Object.fromEntries(located) as Record<Name, LocatedSpool>,
    async close(timeoutMs) {
      isClosed = true
      clearTimeout(timer)
      clearTimeout(waitTimer)
      const released = release().catch((error: unknown) => {
        logger.error({ directory, reason: errorMessage(error) }, 'SPOOL_DIR could not be released')
      })
      await waitFor(released, { timeoutMs, signals: [] })
      for (const [, spool] of located) {
        spool.close()
      }
    },
  }
}

function createPart(): Part {
  return { keys: [], isRead: false }
}
