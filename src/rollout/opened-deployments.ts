// The registry of deployments that callers opened by ID. Anyone with the token can forge an ID, so
// these are kept apart from the deployments of this process, in small numbers, and are watched only
// while a caller needs them.

import { LRUCache } from 'lru-cache'
import { type Deployment, isFinal, parseDeploymentId } from '../deployment/deployment.ts'
import { readRecord } from '../deployment/deployment-record.ts'
import { DeployerError } from '../errors.ts'
import type { Service } from '../swarm/service.ts'
import {
  type EndedDeployment,
  endedDeployment,
  finalDeployment,
  type KnownDeployment,
  type WatchedDeployment,
} from './known-deployment.ts'
import type { WatchTools } from './rollout-loop.ts'
import { watchRollout } from './rollout-watch.ts'

/** A deployment that a caller has opened. */
export interface OpenedDeployment {
  readonly known: KnownDeployment
  /** Closes the deployment for this caller. The watch stops with the last caller. */
  close(): void
}

/** The deployments that callers opened by ID. */
export interface OpenedDeployments {
  /**
   * Opens a deployment.
   *
   * @param id Its ID.
   * @returns The deployment. Each call needs one call of `close`.
   * @throws DeployerError `deployment-not-found` when the ID is invalid; `overloaded` when 100 others are
   *   in progress, unless the service's own record contains the deployment and no other ID for the same
   *   entry of the record is open.
   */
  open(id: string): Promise<OpenedDeployment>
}

interface Entry extends WatchedDeployment {
  callers: number
}

const MAX_IN_PROGRESS = 100
const MAX_ENDED = 100
const RETRY_AFTER_SECONDS = 5

/**
 * Creates the registry.
 *
 * @param tools What watches need.
 * @returns The registry, empty. It keeps the verdicts of the latest 100 deployments that ended.
 */
export function createOpenedDeployments(tools: WatchTools): OpenedDeployments {
  const inProgress = new Map<string, Entry>()
  // Reading does not change the order (`peek`): the deployments that ended first are dropped first.
  const ended = new LRUCache<string, EndedDeployment>({ max: MAX_ENDED })

  function openEntry(entry: Entry): OpenedDeployment {
    entry.callers += 1
    let isOpen = true
    return {
      known: entry,
      close() {
        entry.callers -= isOpen ? 1 : 0
        isOpen = false
        if (entry.callers === 0) {
          entry.watch.stop()
          remove(entry)
        }
      },
    }
  }

  function remove(entry: Entry): boolean {
    return inProgress.get(entry.id) === entry && inProgress.delete(entry.id)
  }

  function watch(id: string, deployment: Deployment): Entry {
    const entry: Entry = { id, deployment, watch: watchRollout(deployment, tools), callers: 0 }
    inProgress.set(id, entry)
    entry.watch.onEnded((outcome) => {
      if (remove(entry)) {
        ended.set(id, endedDeployment(deployment, outcome))
      }
    })
    return entry
  }

  /** Removes the watches of requests that the runtime has ended before they closed the deployment. */
  async function removeAbandoned(): Promise<void> {
    await Promise.all(
      [...inProgress.values()].map(async (entry) => {
        if (!(await entry.watch.isRunning())) {
          remove(entry)
        }
      }),
    )
  }

  /** Counts the deployments that the limit is for. Each entry of a record exempts one deployment. */
  function countLimited(): number {
    const exempt = new Set<string>()
    let count = 0
    for (const { deployment, watch } of inProgress.values()) {
      const write = writeOf(deployment)
      if (!exempt.has(write) && isRecorded(deployment, watch.progress().snapshot.service)) {
        exempt.add(write)
      } else {
        count += 1
      }
    }
    return count
  }

  function isWriteWatched(deployment: Deployment): boolean {
    const write = writeOf(deployment)
    return [...inProgress.values()].some((entry) => writeOf(entry.deployment) === write)
  }

  async function isExempt(deployment: Deployment): Promise<boolean> {
    const service = await tools.swarm.inspectService(deployment.serviceId).catch(() => undefined)
    return isRecorded(deployment, service) && !isWriteWatched(deployment)
  }

  return {
    async open(id) {
      const entry = inProgress.get(id)
      if (entry !== undefined) {
        return openEntry(entry)
      }
      const deployment = parseId(id)
      const known =
        ended.peek(id) ?? (isFinal(deployment) ? finalDeployment(deployment) : undefined)
      if (known !== undefined) {
        return { known, close() {} }
      }
      if (countLimited() >= MAX_IN_PROGRESS) {
        await removeAbandoned()
      }
      if (countLimited() >= MAX_IN_PROGRESS) {
        const isAllowed = await isExempt(deployment)
        if (!isAllowed && !inProgress.has(id)) {
          throw tooMany()
        }
      }
      // Nothing may be awaited between this check for an entry and the new entry.
      return openEntry(inProgress.get(id) ?? watch(id, deployment))
    },
  }
}

function parseId(id: string): Deployment {
  const deployment = parseDeploymentId(id)
  if (deployment === undefined) {
    throw new DeployerError(
      'deployment-not-found',
      `Cannot find deployment ${JSON.stringify(id.slice(0, 100))}: the ID is invalid; use the Location of the response that created the deployment`,
    )
  }
  return deployment
}

function tooMany(): DeployerError {
  return new DeployerError(
    'overloaded',
    `Cannot open one more deployment by its ID: ${MAX_IN_PROGRESS} are open already; try again later`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  )
}

/** Identifies a write, as a record does. Different IDs can name the same write. */
function writeOf({ serviceId, versionIndex, startedAt }: Deployment): string {
  return `${serviceId}/${versionIndex}/${startedAt}`
}

/** Whether the service's own record contains the deployment, so that its ID is not forged. */
function isRecorded(deployment: Deployment, service: Service | undefined): boolean {
  const record = service === undefined ? [] : readRecord(service.Spec)
  return record.some(
    ({ versionIndex, startedAt }) =>
      versionIndex === deployment.versionIndex && startedAt === deployment.startedAt,
  )
}
