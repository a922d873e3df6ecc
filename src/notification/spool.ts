// The spool port: records that outlive the process.

/** A record that a {@link Spool} kept. */
export interface SpooledRecord {
  readonly key: string
  /** What was put, as JSON has it. */
  readonly value: unknown
}

/** Keeps records until they are removed, so that they outlive the process. */
export interface Spool {
  /**
   * Keeps a record, instead of the one that the key had. Puts and removes of a key take effect in
   * the order of the calls.
   *
   * @param key 1 to 120 letters, digits, `_` and `-`.
   * @param value What JSON can hold.
   * @returns Nothing, once the record would outlive a crash, or cannot: it never rejects, for what
   *   does not last must not fail a deployment.
   */
  put(key: string, value: unknown): Promise<void>
  /**
   * Removes a record; one that is not there is none. A removal may be lost in a crash. It never
   * rejects.
   */
  remove(key: string): Promise<void>
  /**
   * Reads what an earlier process left; it never rejects.
   *
   * @returns The records in the order of their keys, without those that cannot be read.
   */
  read(): Promise<readonly SpooledRecord[]>
  /**
   * Whether a record would outlive the process now.
   *
   * @param key The key of one that was put and not removed.
   */
  isSafe(key: string): boolean
  /**
   * Calls a function with records that other processes leave after {@link Spool.read} was called.
   * Default: there are none.
   *
   * @param listener The function. A second one takes its place.
   */
  onLeft?(listener: (records: readonly SpooledRecord[]) => void): void
  /**
   * Tells whether this process is still the one to act on a record. Another one is once it took the
   * record over, because this process was stopped for so long that it seemed to be gone. It never
   * rejects. Default: always.
   *
   * @param key The key of one that was put or read, and not removed.
   */
  owns?(key: string): Promise<boolean>
}
