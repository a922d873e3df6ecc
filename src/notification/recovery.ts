// Recovery after a restart: publishes the events that an earlier process left in the journal, and finds
// out whether the engine took a write whose result is unknown.

import { type Deployment, isFinal } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import type { DeploymentHistory } from '../history/deployment-history.ts'
import type { Deployments } from '../rollout/deployments.ts'
import { type KnownDeployment, outcomeOf } from '../rollout/known-deployment.ts'
import type { Swarm } from '../swarm/swarm.ts'
import type { DeploymentPublisher } from './deployment-publisher.ts'
import type { DeploymentEntry, Journal, JournalEntry } from './journal.ts'
import type { ServiceOrder } from './service-order.ts'
import type { TrackedDeployments } from './tracked-deployments.ts'
import { createUncertainWrites, type WriteResult } from './uncertain-writes.ts'

/** The recovery. */
export interface Recovery {
  /** Resolves when the entries of an earlier process are read; at once without a spool. */
  readonly done: Promise<void>
  isDone(): boolean
  /**
   * Finds out at once whether the engine took the write of a tracked deployment.
   *
   * @param entry The entry of the deployment.
   * @returns What publishes its events, if the engine took the write; the caller runs it in the order of
   *   the service. It resolves once that is known and published, or the process ends.
   */
  resolveUncertainWrite(entry: DeploymentEntry): () => Promise<void>
}

/** What is found out about the write of a deployment, and the deployment if it was written. */
interface Finding {
  readonly result: WriteResult
  readonly known?: KnownDeployment
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
  readonly history: Pick<DeploymentHistory, 'read'>
  /** Ends the recovery. */
  readonly signal: AbortSignal
}

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
  const { hasSpool, journal, tracked, publisher, order } = options
  const { swarm, deployments, history, signal } = options
  const writes = createUncertainWrites({ swarm, deployments, history, signal })
  let isDone = !hasSpool

  async function recover(): Promise<void> {
    journal.onLeft(resume)
    resume(await journal.read())
    isDone = true
  }

  /** Publishes the events of entries that another process left; it does not wait for them. */
  function resume(entries: readonly JournalEntry[]): void {
    const ended = new Set(
      entries.flatMap((entry) =>
        'event' in entry && entry.event.event !== 'accepted' ? writeOf(entry.event) : [],
      ),
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
      // Records of earlier versions have one key for each attempt.
      if (joined.key !== entry.key) {
        journal.remove(entry)
      }
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
    void order.run(entry.deployment.service, resolveUncertainWrite(resumed))
  }

  /** Later writes may remove the traces of a deployment, so its turn in the order is too late to look. */
  function resolveUncertainWrite(entry: DeploymentEntry): () => Promise<void> {
    const finding = investigate(entry)
    finding.catch(() => {})
    return async () => publishFinding(await finding, entry)
  }

  async function investigate(entry: DeploymentEntry): Promise<Finding> {
    const { deployment, state } = entry
    const result = state === 'prepared' ? await writes.readResult(deployment) : 'written'
    if (result !== 'written' || signal.aborted || !tracked.has(entry)) {
      return { result }
    }
    await storeCommitted(entry)
    return { result, known: await writes.observe(() => loadDeployment(deployment)) }
  }

  async function publishFinding({ result, known }: Finding, entry: DeploymentEntry): Promise<void> {
    if (signal.aborted || !tracked.has(entry)) {
      return
    }
    // A request may have joined it since.
    const joined = known ?? deployments.findByWrite(entry.deployment)
    if (joined !== undefined) {
      if (known === undefined) {
        await storeCommitted(entry)
      }
      await publishWritten(joined, entry)
    } else if (result === 'not-written') {
      tracked.untrack(entry)
    } else {
      const endedAt = new Date(swarm.now()).toISOString()
      await publisher.publishEnd({ ...UNDETERMINED, endedAt }, entry)
    }
  }

  async function storeCommitted(entry: DeploymentEntry): Promise<void> {
    if (entry.state === 'prepared') {
      await journal.put(committedOf(entry))
    }
  }

  async function publishWritten(known: KnownDeployment, entry: DeploymentEntry): Promise<void> {
    await publisher.publishAccepted(committedOf(entry))
    // If it has ended, its end precedes the events of later deployments.
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

  return {
    done: hasSpool ? recover() : Promise.resolve(),
    isDone: () => isDone,
    resolveUncertainWrite,
  }
}

function committedOf(entry: DeploymentEntry): DeploymentEntry {
  return entry.state === 'published' ? entry : { ...entry, state: 'committed' }
}

/** What a deployment and its events have in common, also where their IDs differ in other parts. */
function writeOf({ serviceId, startedAt }: Pick<Deployment, 'serviceId' | 'startedAt'>): string {
  return `${serviceId} ${startedAt}`
}
