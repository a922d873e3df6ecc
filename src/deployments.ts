// The deployments that this process knows: those under way, and the latest that have ended.

import { type Deployment, deploymentId, parseDeploymentId } from './deployment.ts'
import type { RecordEntry } from './deployment-record.ts'
import { type KnownDeployment, settled } from './known-deployment.ts'
import type { Service } from './ports.ts'
import { DeployerError } from './problem.ts'
import { type RolloutWatch, type WatchTools, watchRollout } from './rollout-watch.ts'
import type { Outcome } from './verdict.ts'

/** All that is known of deployments. */
export interface Deployments {
  /**
   * Begins to watch a deployment that this process has just written. Those of the same service that
   * are under way are superseded.
   *
   * @param deployment The deployment.
   * @param written The service as it was written.
   */
  begin(deployment: Deployment, written: Service): KnownDeployment
  /**
   * Keeps a deployment that was never written.
   *
   * @param deployment The deployment, with the reason in `unwritten`.
   * @param message Why. Default: in short.
   */
  keep(deployment: Deployment, message?: string): KnownDeployment
  /**
   * Looks at a deployment that another process may have begun, or that may have ended here.
   *
   * @param deployment The deployment.
   * @param options The service, if it was seen at the very moment when the deployment begins; whether
   *   the verdict alone is wanted, without the logs of failed tasks.
   * @returns A watch that nobody else knows of; whoever asked for it adopts or stops it.
   */
  look(
    deployment: Deployment,
    options?: { readonly known?: Service; readonly withoutLogs?: boolean },
  ): RolloutWatch
  /**
   * Makes a watch known.
   *
   * @param watch What `look` gave.
   * @returns The known deployment: another watch when that one is under way here already.
   */
  adopt(watch: RolloutWatch): KnownDeployment
  /**
   * Finds a deployment, known or not.
   *
   * @param id Its ID.
   * @throws DeployerError `deployment-not-found` when that is no ID.
   */
  find(id: string): KnownDeployment
  /**
   * Ends a visit: one that nobody vouches for is watched only while somebody wants to know.
   *
   * @param deployment What `find` gave; each find wants one leave.
   */
  leave(deployment: KnownDeployment): void
  /**
   * Finds the deployment of a service that is under way here.
   *
   * @param serviceId The service's full ID.
   */
  underWay(serviceId: string): KnownDeployment | undefined
  /**
   * How the deployments of a service end when it is written now.
   *
   * @param serviceId The service's full ID.
   * @returns What this process knows of the latest, without those that it knows nothing of.
   */
  endings(serviceId: string): readonly RecordEntry[]
}

const MAX_KNOWN = 1000
// More than a record holds; of a thousand, sorting out the rest takes as long as an engine call.
const MAX_ENDINGS = 50
// Between the clocks of two managers.
const MAX_SKEW_MS = 60_000
const KEEP_ENDED_MS = 24 * 60 * 60 * 1000

/**
 * Makes the memory for deployments.
 *
 * @param tools What watches work with; their logger also gets a line for each end.
 * @returns The memory, empty. It forgets those that ended a day ago, and the oldest
 *   that have ended when there are more than a thousand.
 */
export function createDeployments(tools: WatchTools): Deployments {
  const known = new Map<string, KnownDeployment>()
  const byService = new Map<string, Set<KnownDeployment>>()
  const visitors = new Map<string, number>()

  function visited(entry: KnownDeployment): KnownDeployment {
    visitors.set(entry.id, (visitors.get(entry.id) ?? 0) + 1)
    return entry
  }

  function remember(entry: KnownDeployment): KnownDeployment {
    const { serviceId } = entry.deployment
    forget(known.get(entry.id))
    known.set(entry.id, entry)
    const siblings = byService.get(serviceId) ?? new Set()
    byService.set(serviceId, siblings.add(entry))
    return entry
  }

  function forget(entry: KnownDeployment | undefined): void {
    if (entry !== undefined) {
      const { serviceId } = entry.deployment
      known.delete(entry.id)
      byService.get(serviceId)?.delete(entry)
      if (byService.get(serviceId)?.size === 0) {
        byService.delete(serviceId)
      }
    }
  }

  function know(watch: RolloutWatch, isVouchedFor: boolean): KnownDeployment {
    const { deployment } = watch
    const entry = remember({ ...watch, id: deploymentId(deployment), isVouchedFor })
    void entry.ended.then((outcome) => {
      const latest = known.get(entry.id)
      if (latest?.ended === entry.ended) {
        // All that was seen of the swarm goes with the watch.
        remember(settled(deployment, outcome, latest.isVouchedFor))
      }
      forgetOld()
      logEnd(entry, outcome)
    })
    return entry
  }

  function logEnd({ id, deployment }: KnownDeployment, outcome: Outcome): void {
    const { service, serviceId, image, resolved, startedAt } = deployment
    const { verdict, endedAt, message } = outcome
    const isGood = verdict === 'converged' || verdict === 'unchanged'
    const fields = { service, serviceId, image, resolved, verdict, startedAt, endedAt }
    tools.logger[isGood ? 'info' : 'warn'](
      { ...fields, ...(message === undefined ? {} : { reason: message }), deploymentId: id },
      'deployment ended',
    )
  }

  /** Those that have ended stand in the map in the order of their ends. */
  function forgetOld(): void {
    const oldest = Date.now() - KEEP_ENDED_MS
    for (const entry of known.values()) {
      const endedAt = entry.outcome()?.endedAt
      const isOld = Date.parse(endedAt ?? '') < oldest
      if (known.size <= MAX_KNOWN && !isOld) {
        break
      }
      if (endedAt !== undefined) {
        forget(entry)
      }
    }
  }

  return {
    begin(deployment, written) {
      for (const sibling of [...(byService.get(deployment.serviceId) ?? [])]) {
        // Of one that only an ID tells of, nobody knows here whether it was done: the record tells.
        if (sibling.isVouchedFor) {
          sibling.end('superseded', `${deployment.image} was deployed before this one was done`)
        }
      }
      return know(watchRollout(deployment, tools, written), true)
    },

    keep(deployment, message) {
      const { unwritten = 'unchanged', startedAt } = deployment
      const why = message ?? REASONS[unwritten]
      const entry = remember(
        settled(deployment, { verdict: unwritten, message: why, endedAt: startedAt }, false),
      )
      forgetOld()
      return entry
    },

    look(deployment, { known: service, withoutLogs = false } = {}) {
      const watchTools = withoutLogs ? { ...tools, evidenceLogs: false } : tools
      return watchRollout(deployment, watchTools, service)
    },

    adopt(watch) {
      const entry = known.get(deploymentId(watch.deployment))
      if (entry !== undefined && entry.outcome() === undefined) {
        watch.stop()
        // Whoever only asked for it by its ID must not end it any more.
        return entry.isVouchedFor ? entry : remember({ ...entry, isVouchedFor: true })
      }
      return know(watch, true)
    },

    find(id) {
      const entry = known.get(id)
      if (entry !== undefined) {
        return visited(entry)
      }
      const deployment = parseDeploymentId(id)
      const isToCome = Date.parse(deployment?.startedAt ?? '') > tools.swarm.now() + MAX_SKEW_MS
      if (deployment === undefined || isToCome) {
        throw new DeployerError(
          'deployment-not-found',
          `Cannot find deployment ${JSON.stringify(id.slice(0, 100))}: that is no ID of one; ask at the Location that the deployment was answered with`,
        )
      }
      const { unwritten, startedAt } = deployment
      if (unwritten === undefined) {
        return visited(know(watchRollout(deployment, tools), false))
      }
      const outcome = { verdict: unwritten, message: REASONS[unwritten], endedAt: startedAt }
      return settled(deployment, outcome, false)
    },

    leave(entry) {
      const left = (visitors.get(entry.id) ?? 1) - 1
      visitors.set(entry.id, left)
      if (left <= 0) {
        visitors.delete(entry.id)
        if (!entry.isVouchedFor && entry.outcome() === undefined && known.get(entry.id) === entry) {
          entry.stop()
          forget(entry)
        }
      }
    },

    underWay: (serviceId) =>
      [...(byService.get(serviceId) ?? [])].findLast(
        ({ isVouchedFor, outcome }) => isVouchedFor && outcome() === undefined,
      ),

    endings(serviceId) {
      const facts = [...(byService.get(serviceId) ?? [])].filter(
        ({ isVouchedFor, deployment, outcome }) =>
          isVouchedFor && deployment.unwritten === undefined && outcome()?.verdict !== 'unknown',
      )
      return facts.slice(-MAX_ENDINGS).map(({ deployment, outcome }) => {
        const { versionIndex, startedAt } = deployment
        return { versionIndex, startedAt, verdict: outcome()?.verdict ?? 'superseded' }
      })
    },
  }
}

const REASONS = {
  unchanged: 'The service had this very image already',
  superseded: 'A later request was written first',
}
