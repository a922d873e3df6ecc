// Finds out whether the engine took a write whose result is unknown.

import { backoffMs } from '../async/backoff.ts'
import { createConcurrencyLimit } from '../async/concurrency-limit.ts'
import { waitFor } from '../async/wait-for.ts'
import type { Deployment } from '../deployment/deployment.ts'
import { writeStatus } from '../deployment/write-status.ts'
import { DeployerError } from '../errors.ts'
import type { DeploymentHistory } from '../history/deployment-history.ts'
import type { Deployments } from '../rollout/deployments.ts'
import { type KnownDeployment, waitForReading } from '../rollout/known-deployment.ts'
import type { Swarm } from '../swarm/swarm.ts'

/** Whether the engine took a write; `unknown` where that cannot be determined any more. */
export type WriteResult = 'written' | 'not-written' | 'unknown'

/** Looks at the services of deployments that were written, or may have been. */
export interface UncertainWrites {
  /**
   * Reads the service of a deployment until it shows the result of the write, however long the engine is
   * unreachable.
   *
   * @param deployment The deployment.
   * @returns The result; `unknown` when the process ends.
   */
  readResult(deployment: Deployment): Promise<WriteResult>
  /**
   * Waits until the service of a watched deployment has been read, or could not be read.
   *
   * @param load Starts the watch.
   * @returns The deployment.
   */
  observe(load: () => KnownDeployment): Promise<KnownDeployment>
}

/** What reading works with. */
export interface UncertainWritesOptions {
  readonly swarm: Swarm
  readonly deployments: Pick<Deployments, 'findByWrite'>
  readonly history: Pick<DeploymentHistory, 'read'>
  /** Ends the reading. */
  readonly signal: AbortSignal
}

// A write can succeed after its call failed: a leader lost its quorum, or a connection broke. Within that time
// the history has the writes of other processes too.
const WRITE_SETTLES_WITHIN_MS = 10_000
// Hundreds of entries may be left. The requests that come in meanwhile need the engine as well.
const MAX_READINGS = 8

/**
 * Creates the reading of services.
 *
 * @param options The swarm, and the deployments of this process.
 * @returns The reading; a few services at the same time.
 */
export function createUncertainWrites({
  swarm,
  deployments,
  history,
  signal,
}: UncertainWritesOptions): UncertainWrites {
  const limit = createConcurrencyLimit(MAX_READINGS)

  async function readStatus(deployment: Deployment): Promise<WriteResult | 'not-yet'> {
    // A request of this process that joined it read its write; the service may not show it any more.
    if (deployments.findByWrite(deployment) !== undefined) {
      return 'written'
    }
    const isSettled = swarm.now() >= Date.parse(deployment.startedAt) + WRITE_SETTLES_WITHIN_MS
    try {
      const status = writeStatus(deployment, await swarm.inspectService(deployment.serviceId))
      if (status === 'unknown') {
        const noted = await readNoted(deployment)
        return noted === 'unknown' && !isSettled ? 'not-yet' : noted
      }
      return status === 'not-yet' && isSettled ? 'not-written' : status
    } catch (error) {
      const isRemoved = error instanceof DeployerError && error.code === 'service-not-found'
      return isRemoved ? await readNoted(deployment) : 'not-yet'
    }
  }

  /**
   * Only a deployment that was written is in the history. The engine takes one write for each version, so an
   * entry of another deployment that replaced the same version shows that this one was not written: a later
   * request may have written first, and the record on the service has only the newest deployments.
   */
  async function readNoted({
    serviceId,
    versionIndex,
    startedAt,
  }: Deployment): Promise<WriteResult> {
    const entries = await history.read(serviceId)
    const noted = entries.find(
      (entry) => entry.versionIndex === versionIndex && entry.kind !== 'outside',
    )
    if (noted === undefined) {
      return 'unknown'
    }
    return noted.startedAt === startedAt ? 'written' : 'not-written'
  }

  return {
    async readResult(deployment) {
      for (let attempts = 1; !signal.aborted; attempts += 1) {
        const status = await limit(() => readStatus(deployment))
        if (status !== 'not-yet') {
          return status
        }
        const timeoutMs = backoffMs(attempts)
        await waitFor(new Promise(() => {}), { timeoutMs, signals: [signal], isBackground: true })
      }
      return 'unknown'
    },

    observe: (load) =>
      limit(async () => {
        const known = load()
        await waitForReading(known, { signals: [signal] })
        return known
      }),
  }
}
