// Limits how many files of a disk are written at the same time.

/** The slots of a disk. Each write takes one and frees it. */
export interface SpoolSlots {
  /** Takes a slot. Returns false if none is free. */
  take(): boolean
  /** Frees a slot, and calls the listeners. */
  free(): void
  /** Adds a listener. The order of the calls rotates, so that no listener gets all slots. */
  onFree(listener: () => void): void
}

/**
 * Creates the slots of a disk. The default is two, because a disk that does not respond blocks a thread of
 * libuv for each write, and libuv has four: one is left for the lease of SPOOL_DIR and one for DNS lookups.
 *
 * @param count The number of slots. Default: 2.
 * @returns The slots, all free.
 */
export function createSpoolSlots(count: number = 2): SpoolSlots {
  const listeners: (() => void)[] = []
  let taken = 0
  return {
    take() {
      if (taken >= count) {
        return false
      }
      taken += 1
      return true
    },
    free() {
      taken -= 1
      const [first, ...others] = listeners
      if (first !== undefined) {
        listeners.splice(0, listeners.length, ...others, first)
      }
      for (const listener of [...listeners]) {
        listener()
      }
    },
    onFree(listener) {
      listeners.push(listener)
    },
  }
}
