// What the rest of Deployer does with histories: it notes deployments, and reads them.

import type { HistoryEntry } from './history-entry.ts'

/** A service whose history is meant. */
export interface HistoryService {
  /** The service's full ID. */
  readonly serviceId: string
  /** The service's name. */
  readonly service: string
}

/** The histories of all services. */
export interface DeploymentHistory {
  /** Whether histories are kept now; false without a store, and while the store is closed. */
  isOn(): boolean
  /**
   * Notes what is known of a deployment. It is merged with what is noted already, member by member; a
   * verdict is never replaced, except `superseded` and `unknown` by one that a process has observed. It
   * is written soon, together with other changes, and never in the caller's path.
   *
   * @param service The service.
   * @param entry The deployment.
   */
  note(service: HistoryService, entry: HistoryEntry): void
  /**
   * Reads the history of a service, with what this process has not written yet.
   *
   * @param serviceId The service's full ID.
   * @returns Its entries, newest first; none where there is no history, or it is off. It never rejects:
   *   a store that cannot be read is logged.
   */
  read(serviceId: string): Promise<readonly HistoryEntry[]>
  /**
   * Whether the history of a service is known to have a deployment with its verdict.
   *
   * @param serviceId The service's full ID.
   * @param entry The deployment.
   * @returns False also where nothing is known.
   */
  isNoted(serviceId: string, entry: Pick<HistoryEntry, 'versionIndex' | 'startedAt'>): boolean
  /** Writes all that is noted, at once. It never rejects. */
  flush(): Promise<void>
}

/** Keeps no history. */
export const NO_HISTORY: DeploymentHistory = {
  isOn: () => false,
  isNoted: () => false,
  note() {},
  read: async () => [],
  async flush() {},
}
