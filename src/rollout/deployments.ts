// The registry of the deployments of this process: those in progress, and the latest that have ended.

import { LRUCache } from 'lru-cache'
import { type Deployment, deploymentId } from '../deployment/deployment.ts'
import type { RecordEntry } from '../deployment/deployment-record.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { Service } from '../swarm/service.ts'
import {
  type EndedDeployment,
  endedDeployment,
  type KnownDeployment,
  outcomeOf,
  REASONS,
  type WatchedDeployment,
} from './known-deployment.ts'
import type { WatchTools } from './rollout-loop.ts'
import { type RolloutWatch, watchRollout } from './rollout-watch.ts'

/** The deployments of this process. */
export interface Deployments {
  /**
   * Starts to watch a deployment that this process has just written. Deployments of the same service
   * that are in progress are superseded.
   *
   * @param deployment The deployment.
   * @param written The service as it was written.
   * @returns The known deployment.
   */
  create(deployment: Deployment, written: Service): KnownDeployment
  /**
   * Stores a deployment that was not written to the swarm.
   *
   * @param deployment The deployment, with the reason in `unwritten`.
   * @param message Why it was not written. Default: a short sentence for the reason.
   * @returns The known deployment.
   */
  addUnwritten(deployment: Deployment, message?: string): KnownDeployment
  /**
   * Starts to watch a deployment that another process may have created, or that may have ended.
   *
   * @param deployment The deployment.
   * @param options The service, if it was read at the very moment when the deployment starts; whether
   *   only the verdict is needed, without the logs of failed tasks.
   * @returns A watch that is not registered. The caller registers or stops it.
   */
  inspect(
    deployment: Deployment,
    options?: { readonly known?: Service; readonly withoutLogs?: boolean },
  ): RolloutWatch
  /**
   * Adds a watch to the registry.
   *
   * @param watch The watch that `inspect` returned.
   * @returns The known deployment. It has an earlier watch where that is in progress.
   */
  register(watch: RolloutWatch): KnownDeployment
  /**
   * Finds a deployment that this process created, joined or stored.
   *
   * @param id Its ID.
   * @returns The known deployment; undefined where there is none.
   */
  find(id: string): KnownDeployment | undefined
  /**
   * Finds a deployment by its write, whichever process made the write.
   *
   * @param deployment The deployment, as some process described it.
   * @returns The known deployment; undefined where there is none.
   */
  findByWrite(deployment: Deployment): KnownDeployment | undefined
  /**
   * Finds the latest deployment of a service that is in progress in this process.
   *
   * @param serviceId The service's full ID.
   * @returns The known deployment; undefined where there is none.
   */
  findInProgress(serviceId: string): KnownDeployment | undefined
  /**
   * Lists how the deployments of a service end if the service is written now: those in progress are
   * superseded.
   *
   * @param serviceId The service's full ID.
   * @returns The latest deployments, without those whose verdict is `unknown`.
   */
  verdictsBeforeWrite(serviceId: string): readonly RecordEntry[]
}

const MAX_ENDED = 1000
// More than a record holds. Merging a thousand of them takes as long as an engine call.
const MAX_RECORD_ENTRIES = 50
const KEEP_ENDED_MS = 24 * 60 * 60 * 1000

/**
 * Creates the registry.
 *
 * @param tools What watches need. Their logger also gets a line for the end of each deployment.
 * @returns The registry, empty. It keeps the latest 1,000 deployments that ended, for a day.
 */
export function createDeployments(tools: WatchTools): Deployments {
  const inProgress = new Map<string, WatchedDeployment>()
  // Reading does not change the order (`peek`): the deployments that ended first are dropped first.
  // Without a resolution the cache needs no timer, which workerd would end with a request.
  const ended = new LRUCache<string, EndedDeployment>({
    max: MAX_ENDED,
    ttl: KEEP_ENDED_MS,
    ttlResolution: 0,
  })

  function track(watch: RolloutWatch): KnownDeployment {
    const { deployment } = watch
    const entry = { id: deploymentId(deployment), deployment, watch }
    ended.delete(entry.id)
    inProgress.delete(entry.id)
    inProgress.set(entry.id, entry)
    watch.onEnded((outcome) => {
      if (inProgress.get(entry.id) === entry) {
        inProgress.delete(entry.id)
        ended.set(entry.id, endedDeployment(deployment, outcome))
      }
      logEnd(entry.id, deployment, outcome)
    })
    return entry
  }

  function logEnd(id: string, deployment: Deployment, outcome: Outcome): void {
    const { service, serviceId, image, resolved, startedAt } = deployment
    const { verdict, endedAt, message } = outcome
    const isGood = verdict === 'converged' || verdict === 'unchanged'
    const fields = { service, serviceId, image, resolved, verdict, startedAt, endedAt }
    tools.logger[isGood ? 'info' : 'warn'](
      { ...fields, ...(message === undefined ? {} : { reason: message }), deploymentId: id },
      'deployment ended',
    )
  }

  function watchedOf(serviceId: string): readonly WatchedDeployment[] {
    return [...inProgress.values()].filter(({ deployment }) => deployment.serviceId === serviceId)
  }

  /** The deployments of a service that have ended, oldest first. */
  function endedOf(serviceId: string): readonly EndedDeployment[] {
    return [...ended.rvalues()].filter(
      (entry): entry is EndedDeployment => entry?.deployment.serviceId === serviceId,
    )
  }

  return {
    create(deployment, written) {
      for (const { watch } of watchedOf(deployment.serviceId)) {
        watch.end('superseded', `${deployment.image} was deployed before this one was done`)
      }
      return track(watchRollout(deployment, tools, written))
    },

    addUnwritten(deployment, message) {
      const { unwritten = 'unchanged', startedAt } = deployment
      const outcome = { verdict: unwritten, message: message ?? REASONS[unwritten] }
      const entry = endedDeployment(deployment, { ...outcome, endedAt: startedAt })
      ended.set(entry.id, entry)
      return entry
    },

    inspect(deployment, { known: service, withoutLogs = false } = {}) {
      const watchTools = withoutLogs ? { ...tools, evidenceLogs: false } : tools
      return watchRollout(deployment, watchTools, service)
    },

    register(watch) {
      const entry = inProgress.get(deploymentId(watch.deployment))
      if (entry !== undefined) {
        watch.stop()
        return entry
      }
      return track(watch)
    },

    find: (id) => inProgress.get(id) ?? ended.peek(id),

    findByWrite: ({ serviceId, versionIndex, startedAt }) =>
      [...watchedOf(serviceId), ...endedOf(serviceId)].find(
        ({ deployment }) =>
          deployment.unwritten === undefined &&
          deployment.versionIndex === versionIndex &&
          deployment.startedAt === startedAt,
      ),

    findInProgress: (serviceId) => watchedOf(serviceId).at(-1),

    verdictsBeforeWrite(serviceId) {
      const written = endedOf(serviceId).filter(
        ({ deployment, outcome }) =>
          deployment.unwritten === undefined && outcome.verdict !== 'unknown',
      )
      // Of two entries for the same write, the later one counts: that of the deployment that has ended.
      const latest = [...watchedOf(serviceId), ...written.slice(-MAX_RECORD_ENTRIES)]
      return latest.map((known) => {
        const { versionIndex, startedAt } = known.deployment
        return { versionIndex, startedAt, verdict: outcomeOf(known)?.verdict ?? 'superseded' }
      })
    },
  }
}
