// The registry of the deployments of this process: those in progress, and the latest that have ended.

import { LRUCache } from 'lru-cache'
import { type Deployment, deploymentId, type FinalDeployment } from '../deployment/deployment.ts'
import type { RecordEntry } from '../deployment/deployment-record.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { Service } from '../swarm/service.ts'
import {
  type EndedDeployment,
  endedDeployment,
  finalDeployment,
  type KnownDeployment,
  type WatchedDeployment,
} from './known-deployment.ts'
import type { WatchTools } from './rollout-loop.ts'
import { type RolloutWatch, watchRollout } from './rollout-watch.ts'

/** The deployments of this process. */
export interface Deployments {
  /**
   * Starts to watch a deployment that this process has just written. Its predecessors are ended by
   * {@link Predecessors.end}.
   *
   * @param deployment The deployment.
   * @param written The service as it was written.
   * @returns The known deployment.
   */
  create(deployment: Deployment, written: Service): KnownDeployment
  /**
   * Stores a deployment that was not written to the swarm.
   *
   * @param deployment The deployment. Where another one has the same ID, it starts a millisecond later.
   * @param message Why it was not written. Default: a short sentence for the reason.
   * @returns The known deployment.
   */
  addUnwritten(deployment: FinalDeployment, message?: string): KnownDeployment
  /**
   * Starts to watch a deployment that another process may have created, or that may have ended.
   *
   * @param deployment The deployment.
   * @param options The service, if it was read at the very moment when the deployment starts.
   * @returns A watch that is not registered. The caller registers or stops it.
   */
  inspect(deployment: Deployment, options?: { readonly known?: Service }): RolloutWatch
  /**
   * Adds a watch to the registry.
   *
   * @param watch The watch that `inspect` returned.
   * @returns The known deployment. It has an earlier watch where that is in progress, and the earlier
   *   outcome where there is one: a verdict is final.
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
   * Lists the deployments of a service that are in progress in this process.
   *
   * @param serviceId The service's full ID.
   * @returns The deployments, oldest first, with observations.
   */
  inProgress(serviceId: string): readonly WatchedDeployment[]
  /**
   * Whether this process knows a deployment.
   *
   * @param serviceId The service's full ID.
   * @param entry Its entry in the record of the service.
   */
  hasWrite(serviceId: string, entry: RecordEntry): boolean
  /**
   * Whether this process knows a deployment that wrote a later version.
   *
   * @param serviceId The service's full ID.
   * @param versionIndex The version index that an earlier deployment replaced.
   */
  hasLater(serviceId: string, versionIndex: number): boolean
  /**
   * Lists how the deployments of a service ended, as far as this process knows.
   *
   * @param serviceId The service's full ID.
   * @returns The latest deployments that were written, without those whose verdict is `unknown`.
   */
  endings(serviceId: string): readonly RecordEntry[]
}

/** What the registry needs. */
export interface DeploymentsTools extends WatchTools {
  /** Called at the end of each deployment that is watched. */
  readonly noteEnd?: (deployment: Deployment, outcome: Outcome) => void
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
export function createDeployments(tools: DeploymentsTools): Deployments {
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
      tools.noteEnd?.(deployment, outcome)
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

  function writtenOf(serviceId: string): readonly KnownDeployment[] {
    return [...watchedOf(serviceId), ...endedOf(serviceId)].filter(
      ({ deployment }) => deployment.unwritten === undefined,
    )
  }

  function findWrite(
    serviceId: string,
    { versionIndex, startedAt }: Pick<Deployment, 'versionIndex' | 'startedAt'>,
  ): KnownDeployment | undefined {
    return writtenOf(serviceId).find(
      ({ deployment }) =>
        deployment.versionIndex === versionIndex && deployment.startedAt === startedAt,
    )
  }

  /** Two requests in the same millisecond are two deployments. */
  function withOwnId(deployment: FinalDeployment): FinalDeployment {
    let own = deployment
    while (ended.peek(deploymentId(own)) !== undefined) {
      own = { ...own, startedAt: new Date(Date.parse(own.startedAt) + 1).toISOString() }
    }
    return own
  }

  return {
    create: (deployment, written) => track(watchRollout(deployment, tools, written)),

    addUnwritten(deployment, message) {
      const entry = finalDeployment(withOwnId(deployment), message)
      ended.set(entry.id, entry)
      return entry
    },

    inspect: (deployment, { known } = {}) =>
      watchRollout(deployment, { ...tools, mayHaveEnded: true }, known),

    register(watch) {
      const id = deploymentId(watch.deployment)
      const entry = inProgress.get(id) ?? ended.peek(id)
      if (entry !== undefined) {
        watch.stop()
        return entry
      }
      return track(watch)
    },

    find: (id) => inProgress.get(id) ?? ended.peek(id),

    findByWrite: ({ serviceId, ...write }) => findWrite(serviceId, write),
    hasWrite: (serviceId, entry) => findWrite(serviceId, entry) !== undefined,
    hasLater: (serviceId, index) =>
      writtenOf(serviceId).some(({ deployment }) => deployment.versionIndex > index),

    inProgress: watchedOf,

    endings(serviceId) {
      // A verdict is fixed before the logs of failed tasks are read.
      const known = [...endedOf(serviceId).slice(-MAX_RECORD_ENTRIES), ...watchedOf(serviceId)]
      return known.flatMap((one) => {
        const { versionIndex, startedAt, unwritten } = one.deployment
        const verdict = 'watch' in one ? one.watch.verdict() : one.outcome.verdict
        return unwritten !== undefined || verdict === undefined || verdict === 'unknown'
          ? []
          : [{ versionIndex, startedAt, verdict }]
      })
    },
  }
}
