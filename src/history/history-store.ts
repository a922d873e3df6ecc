// The port of the history: a place that keeps a few labels for each service, whatever happens to the
// service itself.

/**
 * The label that every history has; its value is the format of the other labels. What has not this label
 * was made by somebody else: it is never read as a history, and never removed.
 */
export const FORMAT_LABEL = 'deployer.format'

/** The history of one service, as it is stored. */
export interface StoredHistory {
  /** The service's full ID. */
  readonly serviceId: string
  /** Changes with each write; opaque to callers, who hand it back. */
  readonly version: string
  /** All of the content, with {@link FORMAT_LABEL}. */
  readonly labels: Readonly<Record<string, string>>
}

/**
 * The result of a write: `out-of-sequence` when another process has changed, created or removed the
 * history since it was read, and nothing was written.
 */
export type HistoryWrite = 'written' | 'out-of-sequence'

/**
 * Keeps the histories of services. Each call ends within a time limit of the adapter, and rejects with a
 * DeployerError `engine-error`, `engine-unreachable`, `not-a-manager`, `swarm-locked` or `no-quorum`;
 * `history-unavailable` when this store may not be used at all (a socket proxy that does not allow `/configs`).
 */
export interface HistoryStore {
  /**
   * Reads the history of a service.
   *
   * @param serviceId The service's full ID.
   * @returns The history; undefined where there is none.
   */
  read(serviceId: string): Promise<StoredHistory | undefined>
  /**
   * Writes the labels of a history, if nobody has written it since it was read (compare and set). A write
   * that rejects with `engine-unreachable` or `no-quorum` may have been applied: read the history again.
   *
   * @param serviceId The service's full ID.
   * @param labels The complete labels, with {@link FORMAT_LABEL}.
   * @param replaced The history as it was read; undefined to create it.
   * @returns Whether it was written.
   */
  write(
    serviceId: string,
    labels: Readonly<Record<string, string>>,
    replaced: StoredHistory | undefined,
  ): Promise<HistoryWrite>
  /**
   * Lists the histories with a label.
   *
   * @param label A label and its value, such as `deployer.service=blog`.
   * @returns The histories.
   */
  list(label: string): Promise<readonly StoredHistory[]>
  /**
   * Removes a history. One that is gone already is no error. One that was written since it was read is
   * kept: nothing that another process has just noted is lost.
   *
   * @param history The history as it was read.
   */
  remove(history: StoredHistory): Promise<void>
}
