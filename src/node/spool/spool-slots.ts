// How many files of a disk are written at a time.

/** Whoever writes takes a slot, and frees it. */
export interface SpoolSlots {
  /** Takes a slot. Returns whether there was one. */
  take(): boolean
  /** Frees a slot, and tells those who wait for one. */
  free(): void
  /** Adds one who waits. They are told in turn, so that none of them gets all slots. */
  onFree(listener: () => void): void
}

/**
 * Makes the slots of a disk. Two, because a disk that hangs keeps a thread for each, and libuv has
 * four: one is left for the lease of SPOOL_DIR, and one for looking up names.
 *
 * @param count How many. Default: 2.
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
