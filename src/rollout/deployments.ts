// The deployments that this process knows: those under way, and the latest that have ended.

import { type Deployment, deploymentId } from '../deployment/deployment.ts'
import type { RecordEntry } from '../deployment/deployment-record.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { Service } from '../swarm/service.ts'
import { type KnownDeployment, REASONS, settled } from './known-deployment.ts'
import { type RolloutWatch, type WatchTools, watchRollout } from './rollout-watch.ts'

/** All that is known of deployments. */
export interface Deployments {
  /**
   * Begins to watch a deployment that this process has just written. Those of the same service that
   * are under way are superseded.
   *
   * @param deployment The deployment.
   * @param written The service as it was written.
   */
  create(deployment: Deployment, written: Service): KnownDeployment
  /**
   * Keeps a deployment that was never written.
   *
   * @param deployment The deployment, with the reason in `unwritten`.
   * @param message Why. Default: in short.
   */
  addUnwritten(deployment: Deployment, message?: string): KnownDeployment
  /**
   * Looks at a deployment that another process may have begun, or that may have ended here.
   *
   * @param deployment The deployment.
   * @param options The service, if it was seen at the very moment when the deployment begins; whether
   *   the verdict alone is wanted, without the logs of failed tasks.
   * @returns A watch that nobody else knows of; whoever asked for it adopts or stops it.
   */
  inspect(
    deployment: Deployment,
    options?: { readonly known?: Service; readonly withoutLogs?: boolean },
  ): RolloutWatch
  /**
   * Makes a watch known.
   *
   * @param watch What `look` gave.
   * @returns The known deployment: another watch when that one is under way here already.
   */
  register(watch: RolloutWatch): KnownDeployment
  /**
   * Finds a deployment that this process began, joined or kept.
   *
   * @param id Its ID.
   */
  find(id: string): KnownDeployment | undefined
  /**
   * Finds what this process knows of a write, also where another process made it and a request here
   * joined it.
   *
   * @param deployment The deployment, as some process described it.
   */
  findByWrite(deployment: Deployment): KnownDeployment | undefined
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
  endedBefore(serviceId: string): readonly RecordEntry[]
}

const MAX_KNOWN = 1000
// More than a record holds; of a thousand, sorting out the rest takes as long as an engine call.
const MAX_ENDINGS = 50
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

  function know(watch: RolloutWatch): KnownDeployment {
    const { deployment } = watch
    const entry = remember({ ...watch, id: deploymentId(deployment) })
    void entry.ended.then((outcome) => {
      const latest = known.get(entry.id)
      if (latest?.ended === entry.ended) {
        // All that was seen of the swarm goes with the watch.
        remember(settled(deployment, outcome))
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
    create(deployment, written) {
      for (const sibling of [...(byService.get(deployment.serviceId) ?? [])]) {
        sibling.end('superseded', `${deployment.image} was deployed before this one was done`)
      }
      return know(watchRollout(deployment, tools, written))
    },

    addUnwritten(deployment, message) {
      const { unwritten = 'unchanged', startedAt } = deployment
      const why = message ?? REASONS[unwritten]
      const entry = remember(
        settled(deployment, { verdict: unwritten, message: why, endedAt: startedAt }),
      )
      forgetOld()
      return entry
    },

    inspect(deployment, { known: service, withoutLogs = false } = {}) {
      const watchTools = withoutLogs ? { ...tools, evidenceLogs: false } : tools
      return watchRollout(deployment, watchTools, service)
    },

    register(watch) {
      const entry = known.get(deploymentId(watch.deployment))
      if (entry !== undefined && entry.outcome() === undefined) {
        watch.stop()
        return entry
      }
      return know(watch)
    },

    find: (id) => known.get(id),

    findByWrite: ({ serviceId, versionIndex, startedAt }) =>
      [...(byService.get(serviceId) ?? [])].find(
        ({ deployment }) =>
          deployment.unwritten === undefined &&
          deployment.versionIndex === versionIndex &&
          deployment.startedAt === startedAt,
      ),

    underWay: (serviceId) =>
      [...(byService.get(serviceId) ?? [])].findLast(({ outcome }) => outcome() === undefined),

    endedBefore(serviceId) {
      const facts = [...(byService.get(serviceId) ?? [])].filter(
        ({ deployment, outcome }) =>
          deployment.unwritten === undefined && outcome()?.verdict !== 'unknown',
      )
      return facts.slice(-MAX_ENDINGS).map(({ deployment, outcome }) => {
        const { versionIndex, startedAt } = deployment
        return { versionIndex, startedAt, verdict: outcome()?.verdict ?? 'superseded' }
      })
    },
  }
}
