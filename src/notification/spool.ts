// The spool port: records that survive the end of the process.

/** A record of a {@link Spool}. */
export interface SpooledRecord {
  readonly key: string
  /** The stored value, as read from JSON. */
  readonly value: unknown
}

/** Stores records until they are removed, also across restarts. */
export interface Spool {
  /**
   * Stores a record in place of an earlier one with the same key. Calls for the same key take effect in
   * their order.
   *
   * @param key 1 to 120 letters, digits, `_` and `-`.
   * @param value A value that can be written as JSON.
   * @returns Nothing, once the record survives a crash, or cannot be stored. It never rejects: a failure
   *   of the spool must not fail a deployment.
   */
  put(key: string, value: unknown): Promise<void>
  /**
   * Removes a record if it exists. A removal may be lost in a crash.
   *
   * @param key The key of the record.
   * @returns Nothing, once it is removed. It never rejects.
   */
  remove(key: string): Promise<void>
  /**
   * Reads the records of an earlier process.
   *
   * @returns The records in the order of their keys, without those that cannot be read. It never
   *   rejects.
   */
  read(): Promise<readonly SpooledRecord[]>
  /**
   * Checks whether a record would survive the end of the process now.
   *
   * @param key The key of a record that was stored and not removed.
   */
  isSafe(key: string): boolean
  /**
   * Calls a function with records that other processes leave after {@link Spool.read} was called.
   * Default: there are no such records.
   *
   * @param listener The function. A later one replaces it.
   */
  onLeft?(listener: (records: readonly SpooledRecord[]) => void): void
  /**
   * Checks whether this process still owns a record. Another process takes records over when this one
   * did not run for so long that it seemed to have ended. It never rejects. Default: this process owns
   * all records.
   *
   * @param key The key of a record that was stored or read, and not removed.
   */
  owns?(key: string): Promise<boolean>
}
