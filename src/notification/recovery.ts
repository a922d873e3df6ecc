// Recovery after a restart: publishes the events that an earlier process left in the journal, and finds
// out whether the engine took a write whose result is unknown.

import { backoffMs } from '../async/backoff.ts'
import { waitFor } from '../async/wait-for.ts'
import { type Deployment, isFinal } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import { writeStatus } from '../deployment/write-status.ts'
import { DeployerError } from '../errors.ts'
import type { Deployments } from '../rollout/deployments.ts'
import { type KnownDeployment, outcomeOf, waitForReading } from '../rollout/known-deployment.ts'
import type { Swarm } from '../swarm/swarm.ts'
import type { DeploymentPublisher } from './deployment-publisher.ts'
import type { DeploymentEntry, Journal, JournalEntry } from './journal.ts'
import type { ServiceOrder } from './service-order.ts'
import type { TrackedDeployments } from './tracked-deployments.ts'

/** The recovery. */
export interface Recovery {
  /** Resolves when the entries of an earlier process are read; at once without a spool. */
  readonly done: Promise<void>
  isDone(): boolean
  /**
   * Finds out whether the engine took the write of a tracked deployment, and publishes its events if
   * it did.
   *
   * @param entry The entry of the deployment.
   * @returns Nothing, once that is known, or the process ends.
   */
  resolveUncertainWrite(entry: DeploymentEntry): Promise<void>
}

/** What recovery works with. */
export interface RecoveryOptions {
  /** Whether there is a spool, which an earlier process may have written. */
  readonly hasSpool: boolean
  readonly journal: Journal
  readonly tracked: TrackedDeployments
  readonly publisher: DeploymentPublisher
  readonly order: ServiceOrder
  readonly swarm: Swarm
  readonly deployments: Deployments
  /** Ends the recovery. */
  readonly signal: AbortSignal
}

// A write can succeed after its call failed: a leader lost its quorum, or a connection broke.
const WRITE_SETTLES_WITHIN_MS = 10_000

const UNDETERMINED: Omit<Outcome, 'endedAt'> = {
  verdict: 'unknown',
  message:
    'The outcome cannot be determined: Deployer did not learn whether the engine took the update, and the service does not show it',
}

/**
 * Starts the recovery.
 *
 * @param options The journal, the swarm, and what publishes events.
 * @returns The recovery.
 */
export function startRecovery(options: RecoveryOptions): Recovery {
  const { hasSpool, journal, tracked, publisher, order, swarm, deployments, signal } = options
  let isDone = !hasSpool

  async function recover(): Promise<void> {
    journal.onLeft(resume)
    resume(await journal.read())
    isDone = true
  }

  /** Publishes the events of entries that another process left; it does not wait for them. */
  function resume(entries: readonly JournalEntry[]): void {
    const ended = new Set(
      entries.flatMap((entry) => ('event' in entry ? writeOf(entry.event) : [])),
    )
    for (const entry of entries) {
      if ('event' in entry) {
        void order.run(entry.event.service, () => publisher.publishEvent(entry))
      } else if (ended.has(writeOf(entry.deployment))) {
        // The entry of a request that joined the deployment, in a process that was killed as well.
        journal.remove(entry)
      } else {
        resumeDeployment(entry)
      }
    }
  }

  /**
   * A request may have joined the deployment before its entry was read. Events are published of one of
   * the two entries: of the earlier one, unless those of the other one are published.
   */
  function resumeDeployment(entry: DeploymentEntry): void {
    const joined = tracked.find(entry)
    if (joined?.origin.messageId === entry.origin.messageId) {
      return
    }
    if (joined?.state === 'published') {
      journal.remove(entry)
      return
    }
    if (joined !== undefined) {
      journal.remove(joined)
    }
    // A request joins a deployment only when the service shows its write.
    const state = entry.state === 'prepared' ? (joined?.state ?? 'prepared') : entry.state
    const resumed: DeploymentEntry = { ...entry, state }
    tracked.track(resumed)
    void order.run(entry.deployment.service, () => resolveUncertainWrite(resumed))
  }

  async function resolveUncertainWrite(entry: DeploymentEntry): Promise<void> {
    const { deployment, state } = entry
    // A request of this process that joined it read its write; the service may not show it any more.
    const isUncertain = state === 'prepared' && deployments.findByWrite(deployment) === undefined
    const result = isUncertain ? await readWriteResult(deployment) : 'written'
    if (signal.aborted || !tracked.has(entry)) {
      return
    }
    switch (result) {
      case 'written':
        await publishWritten(entry)
        break
      case 'not-written':
        tracked.untrack(entry)
        break
      case 'unknown': {
        const endedAt = new Date(swarm.now()).toISOString()
        await publisher.publishEnd({ ...UNDETERMINED, endedAt }, entry)
      }
    }
  }

  async function publishWritten(entry: DeploymentEntry): Promise<void> {
    const committed: DeploymentEntry =
      entry.state === 'published' ? entry : { ...entry, state: 'committed' }
    await journal.put(committed)
    await publisher.publishAccepted(committed)
    const known = loadDeployment(entry.deployment)
    // If it has ended, its end precedes the events of later deployments.
    await waitForReading(known, { signals: [signal] })
    const outcome = outcomeOf(known)
    if (outcome === undefined) {
      publisher.publishEndLater(known, entry)
    } else {
      await publisher.publishEnd(outcome, entry)
    }
  }

  function loadDeployment(deployment: Deployment): KnownDeployment {
    if (isFinal(deployment)) {
      return deployments.addUnwritten(deployment)
    }
    return (
      deployments.findByWrite(deployment) ?? deployments.register(deployments.inspect(deployment))
    )
  }

  /** Reads the service until it shows the result, however long the engine is unreachable. */
  async function readWriteResult(
    deployment: Deployment,
  ): Promise<'written' | 'not-written' | 'unknown'> {
    const settlesAt = Date.parse(deployment.startedAt) + WRITE_SETTLES_WITHIN_MS
    for (let attempts = 1; !signal.aborted; attempts += 1) {
      try {
        const status = writeStatus(deployment, await swarm.inspectService(deployment.serviceId))
        if (status !== 'not-yet') {
          return status
        }
        if (swarm.now() >= settlesAt) {
          return 'not-written'
        }
      } catch (error) {
        if (error instanceof DeployerError && error.code === 'service-not-found') {
          break
        }
      }
      const timeoutMs = backoffMs(attempts)
      await waitFor(new Promise(() => {}), { timeoutMs, signals: [signal], isBackground: true })
    }
    return 'unknown'
  }

  return {
    done: hasSpool ? recover() : Promise.resolve(),
    isDone: () => isDone,
    resolveUncertainWrite,
  }
}

/** What a deployment and its events have in common, also where their IDs differ in other parts. */
function writeOf({ serviceId, startedAt }: Pick<Deployment, 'serviceId' | 'startedAt'>): string {
  return `${serviceId} ${startedAt}`
}
