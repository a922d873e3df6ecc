// The history of a service, as callers see it.

import { deploymentId } from '../deployment/deployment.ts'
import type { EndVerdict } from '../deployment/verdict.ts'
import type { HistoryEntry, HistoryKind } from '../history/history-entry.ts'
import type { ServiceHistory } from '../history/history-recorder.ts'
import { digestOf } from '../swarm/image-reference.ts'

/** A deployment in the history of a service. Texts that are not known are empty. */
export interface HistoryDeployment {
  /** As in `GET /deployments/<id>`. */
  readonly deploymentId: string
  /** The image exactly as the caller sent it; of a change that others made, as it is in the spec. */
  readonly image: string
  /** The digest that the image was pinned to, or null. */
  readonly digest: string | null
  /** The previous image of the spec. */
  readonly previous: string
  /** The name of the caller's token; empty for a change that others made. */
  readonly caller: string
  /** `outside` for a change that others made. */
  readonly kind: HistoryKind
  readonly startedAt: string
  /** Null while it is in progress, and for a change that others made. */
  readonly endedAt: string | null
  /** Null while it is in progress, and for a change that others made. */
  readonly verdict: EndVerdict | null
  /** Why it did not succeed, in one line. */
  readonly error: string
  /** `commit` of the request's `metadata`. */
  readonly commit: string
  /** `run` of the request's `metadata`. */
  readonly run: string
}

/** The history of a service, as callers see it. */
export interface HistoryReport {
  readonly service: string
  /** Newest first. */
  readonly deployments: readonly HistoryDeployment[]
}

/**
 * Describes the histories of all services that had a name.
 *
 * @param service The name.
 * @param histories The histories.
 * @returns The report.
 */
export function historyReport(
  service: string,
  histories: readonly ServiceHistory[],
): HistoryReport {
  const deployments = histories
    .flatMap(({ serviceId, entries }) => entries.map((entry) => ({ serviceId, entry })))
    // Version indexes of all services of a swarm are positions in one log.
    .sort(({ entry: a }, { entry: b }) => b.versionIndex - a.versionIndex)
    .map(({ serviceId, entry }) => reportEntry(serviceId, entry))
  return { service, deployments }
}

function reportEntry(serviceId: string, entry: HistoryEntry): HistoryDeployment {
  const { image = entry.resolved ?? '', resolved = '', previous = '', startedAt } = entry
  const { caller = '', kind = 'deploy', endedAt, verdict } = entry
  const { error = '', commit = '', run = '' } = entry
  return {
    ...{ deploymentId: deploymentId({ serviceId, ...entry }), image, digest: digestOf(resolved) },
    ...{ previous, caller, kind, startedAt },
    ...{ endedAt: endedAt ?? null, verdict: verdict ?? null, error, commit, run },
  }
}
