// The registry of deployments that callers opened by ID, and that another process created. They are
// watched only while a caller needs them.

import { LRUCache } from 'lru-cache'
import {
  type Deployment,
  type DeploymentKey,
  deploymentId,
  isFinal,
} from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import { DeployerError } from '../errors.ts'
import {
  type FoundDeployment,
  finalDeploymentOf,
  findDeployment,
  type LookupTools,
} from './deployment-lookup.ts'
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
   * @param key The parts of its ID.
   * @returns The deployment. Each call needs one call of `close`.
   * @throws DeployerError what {@link findDeployment} throws; `overloaded` when 100 other
   *   observations of services are open.
   */
  open(key: DeploymentKey): Promise<OpenedDeployment>
}

interface Entry extends WatchedDeployment {
  callers: number
}

const MAX_OBSERVATIONS = 100
const MAX_ENDED = 100
const RETRY_AFTER_SECONDS = 5

/** What the registry needs. */
export interface OpenedDeploymentsOptions extends WatchTools, LookupTools {
  readonly history: LookupTools['history']
  /** Notes how a deployment ended. Default: it is noted nowhere. */
  readonly noteEnd?: (deployment: Deployment, outcome: Outcome) => void
}

/**
 * Creates the registry.
 *
 * @param tools What watches need, and the histories.
 * @returns The registry, empty. It keeps the verdicts of the latest 100 deployments that ended.
 */
export function createOpenedDeployments(tools: OpenedDeploymentsOptions): OpenedDeployments {
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

  function watch(id: string, { deployment }: FoundDeployment): Entry {
    const entry: Entry = { id, deployment, watch: watchRollout(deployment, tools), callers: 0 }
    inProgress.set(id, entry)
    entry.watch.onEnded((outcome) => {
      if (remove(entry)) {
        ended.set(id, endedDeployment(deployment, outcome))
      }
      tools.noteEnd?.(deployment, outcome)
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

  /** Only IDs of observations can be made up: the others are in a record or a history. */
  function isOverLimit({ unwritten }: DeploymentKey): boolean {
    const observations = [...inProgress.values()].filter(
      ({ deployment }) => deployment.unwritten === 'observed',
    )
    return unwritten === 'observed' && observations.length >= MAX_OBSERVATIONS
  }

  return {
    async open(key) {
      const id = deploymentId(key)
      const known =
        ended.peek(id) ?? (isFinal(key) ? finalDeployment(finalDeploymentOf(key)) : undefined)
      if (known !== undefined) {
        return { known, close() {} }
      }
      const entry = inProgress.get(id)
      if (entry !== undefined) {
        return openEntry(entry)
      }
      const found = await findDeployment(key, tools)
      if (found.outcome !== undefined) {
        return { known: endedDeployment(found.deployment, found.outcome), close() {} }
      }
      if (isOverLimit(key)) {
        await removeAbandoned()
      }
      // Nothing may be awaited between this check for an entry and the new entry.
      const opened = inProgress.get(id)
      if (opened === undefined && isOverLimit(key)) {
        throw tooMany()
      }
      return openEntry(opened ?? watch(id, found))
    },
  }
}

function tooMany(): DeployerError {
  return new DeployerError(
    'overloaded',
    `Cannot open one more observation by its ID: ${MAX_OBSERVATIONS} are open already; try again later`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  )
}
