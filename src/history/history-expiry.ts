// Removes the histories of services that have been gone for some time.

import { DeployerError } from '../errors.ts'
import { currentTimeMs } from '../swarm/current-time.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { FORMAT, REMOVED_LABEL } from './history-labels.ts'
import { FORMAT_LABEL, type HistoryStore, type StoredHistory } from './history-store.ts'

/** What the removal needs. */
export interface HistoryExpiryOptions {
  readonly swarm: Pick<Swarm, 'inspectService' | 'now'>
  readonly store: Pick<HistoryStore, 'list' | 'remove'>
  /** The IDs of services that are known to exist. */
  readonly existing: ReadonlySet<string>
}

/** How long the history of a service is kept after it was first seen to be gone, in milliseconds. */
export const KEEP_REMOVED_MS: number = 7 * 24 * 60 * 60 * 1000

/**
 * Looks up the services of all histories that may be gone, so that an observer of the swarm notes it, and
 * removes the histories of those that have been gone for 7 days.
 *
 * @param options The swarm, and the store, which removes histories only, and none that was written since
 *   it was listed.
 * @returns How many were removed.
 * @throws DeployerError what the store and the swarm throw.
 */
export async function removeExpired(options: HistoryExpiryOptions): Promise<number> {
  const { swarm, store, existing } = options
  let removed = 0
  for (const history of await store.list(`${FORMAT_LABEL}=${FORMAT}`)) {
    const isDue = isExpired(history, currentTimeMs(swarm))
    const isUnseen = history.labels[REMOVED_LABEL] === undefined && !existing.has(history.serviceId)
    if ((isDue || isUnseen) && (await isGone(history, swarm)) && isDue) {
      await store.remove(history)
      removed += 1
    }
  }
  return removed
}

function isExpired({ labels }: StoredHistory, nowMs: number): boolean {
  return nowMs - Date.parse(labels[REMOVED_LABEL] ?? '') > KEEP_REMOVED_MS
}

async function isGone(
  { serviceId }: StoredHistory,
  swarm: Pick<Swarm, 'inspectService'>,
): Promise<boolean> {
  try {
    return (await swarm.inspectService(serviceId)).ID !== serviceId
  } catch (error) {
    if (error instanceof DeployerError && error.code === 'service-not-found') {
      return true
    }
    throw error
  }
}
