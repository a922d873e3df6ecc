// Tells the notifier of deployments: that they were accepted, and how they ended; also of those that
// an earlier process began.

import { onAbort } from './abort.ts'
import { backoffMs } from './backoff.ts'
import { type Deployment, deploymentId } from './deployment.ts'
import {
  acceptedEvent,
  type DeploymentEvent,
  type DeploymentEventName,
  endedEvent,
  type Origin,
  type Refusal,
  refusedEvent,
} from './deployment-event.ts'
import type { Deployments } from './deployments.ts'
import { createJournal, type DeploymentEntry, type JournalEntry } from './journal.ts'
import { type KnownDeployment, settled } from './known-deployment.ts'
import type { Logger, Notifier, Service, Spool, Swarm } from './ports.ts'
import { DeployerError } from './problem.ts'
import { endVerdicts, type Outcome } from './verdict.ts'
import { waitFor } from './waiting.ts'
import { wasWritten } from './was-written.ts'

/** A write that is about to be sent. One of its methods is called, once. */
export interface Intention {
  /** The engine has it: it is told, now and at its end. Resolves once that would outlive a crash. */
  written(known: KnownDeployment): Promise<void>
  /** The engine does not have it. */
  dropped(): void
  /** Nobody knows whether the engine has it: that is found out, and it is told if it has. */
  lost(): void
}

/** Tells of deployments. */
export interface Announcer {
  /** Keeps a deployment that is about to be written; resolves once that would outlive a crash. */
  intend(deployment: Deployment, origin: Origin): Promise<Intention>
  /**
   * Tells of a deployment that is accepted without a write of its own, unless it was told already.
   * Resolves once that would outlive a crash.
   */
  accept(known: KnownDeployment, origin: Origin): Promise<void>
  /** Tells of a request that was turned away. Resolves once that would outlive a crash. */
  refuse(refusal: Refusal): Promise<void>
  /** Resolves when the notifier is done with all that it was told so far. */
  idle(): Promise<void>
}

/** What an announcer works with. */
export interface AnnouncerTools {
  readonly notifier: Notifier | undefined
  /** What the notifier is told of. */
  readonly notifierEvents: readonly DeploymentEventName[]
  /** Keeps what is still to be told over a restart. */
  readonly spool: Spool | undefined
  readonly swarm: Swarm
  readonly deployments: Deployments
  readonly logger: Logger
  readonly signal: AbortSignal
}

/**
 * Makes an announcer. What an earlier one left in the spool is told first.
 *
 * @param tools What it works with.
 * @returns The announcer; without a notifier one that does nothing.
 */
export function createAnnouncer({ notifier, ...tools }: AnnouncerTools): Announcer {
  return notifier === undefined ? SILENT : createLoudAnnouncer(notifier, tools)
}

const SILENT: Announcer = {
  intend: async () => ({ written: async () => {}, dropped() {}, lost() {} }),
  async accept() {},
  async refuse() {},
  async idle() {},
}

const NOW = Promise.resolve()

const LOST: Omit<Outcome, 'endedAt'> = {
  verdict: 'unknown',
  message:
    'Deployer lost sight of the service while it was writing this, and the service does not tell whether the engine took it',
}

function createLoudAnnouncer(
  notifier: Notifier,
  { notifierEvents, spool, swarm, deployments, logger, signal }: Omit<AnnouncerTools, 'notifier'>,
): Announcer {
  const wanted = new Set(notifierEvents)
  const isEndWanted = endVerdicts.some((verdict) => wanted.has(verdict))
  const journal = createJournal(spool, logger)
  const announced = new WeakSet<Deployment>()
  const tellings = new Set<Promise<void>>()
  const toCome = new Set<DeploymentEntry>()
  const recovered = spool === undefined ? Promise.resolve() : recover()

  /** Tells of a deployment now, and of its end then; what an earlier process left comes first. */
  function announce(known: KnownDeployment, entry: DeploymentEntry, turn = recovered): void {
    announced.add(known.deployment)
    const accepted = track(turn.then(() => tellAccepted(entry)))
    if (isEndWanted) {
      toCome.add(entry)
      void Promise.all([known.ended, accepted]).then(([outcome]) => {
        toCome.delete(entry)
        void track(tellLast(endedEvent(entry, outcome), entry))
      })
    }
  }

  async function tellAccepted(entry: DeploymentEntry): Promise<void> {
    if (entry.stage !== 'told') {
      await tell(acceptedEvent(entry))
    }
    if (!isEndWanted) {
      journal.remove(entry)
    } else if (entry.stage !== 'told') {
      void journal.put({ ...entry, stage: 'told' })
    }
  }

  async function tellLast(event: DeploymentEvent, entry: JournalEntry): Promise<void> {
    await tell(event)
    journal.remove(entry)
  }

  /** A message that fails is logged and changes nothing for the deployment. */
  async function tell(event: DeploymentEvent): Promise<void> {
    try {
      await (wanted.has(event.event) ? notifier(event) : undefined)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      logger.error({ ...event, reason }, 'message not delivered')
    }
  }

  function track(telling: Promise<void>): Promise<void> {
    tellings.add(telling)
    return telling.finally(() => tellings.delete(telling))
  }

  /** What is told of a service comes in order, that of an earlier process first. */
  async function recover(): Promise<void> {
    const byService = new Map<string, DeploymentEntry[]>()
    for (const entry of await journal.read()) {
      if ('event' in entry) {
        void track(tellLast(entry.event, entry))
      } else {
        const { serviceId } = entry.deployment
        byService.set(serviceId, [...(byService.get(serviceId) ?? []), entry])
      }
    }
    await Promise.all(
      [...byService.values()].map(async (entries) => {
        for (const entry of entries) {
          await goOn(entry)
        }
      }),
    )
  }

  /** Finds out what became of a deployment that nobody in this process has begun. */
  async function goOn(entry: DeploymentEntry): Promise<void> {
    const { deployment, stage } = entry
    const written = stage === 'intended' ? await findOut(deployment) : 'written'
    if (signal.aborted) {
      return
    }
    switch (written) {
      case 'written': {
        const accepted: DeploymentEntry = stage === 'told' ? entry : { ...entry, stage: 'accepted' }
        await journal.put(accepted)
        announce(knownOf(entry), accepted, NOW)
        break
      }
      case 'not-written':
        journal.remove(entry)
        break
      case 'unknown': {
        const endedAt = new Date(swarm.now()).toISOString()
        const known = settled(deployment, { ...LOST, endedAt }, false)
        announce(known, { ...entry, stage: 'told' }, NOW)
      }
    }
  }

  function knownOf({ deployment, deploymentId }: DeploymentEntry): KnownDeployment {
    return deployment.unwritten === undefined
      ? deployments.adopt(deployments.look(deployment))
      : deployments.find(deploymentId)
  }

  /** Looks at the service until the engine shows it, however long that takes. */
  async function findOut(deployment: Deployment): Promise<ReturnType<typeof wasWritten>> {
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        return wasWritten(deployment, await inspect(deployment))
      } catch (error) {
        if (error instanceof DeployerError && error.code === 'service-not-found') {
          break
        }
        await waitFor(new Promise(() => {}), { timeoutMs: backoffMs(failures), signals: [signal] })
      }
    }
    return 'unknown'
  }

  function inspect({ serviceId }: Deployment): Promise<Service> {
    return swarm.inspectService(serviceId)
  }

  function entryOf(deployment: Deployment, origin: Origin, stage: DeploymentEntry['stage']) {
    return { stage, deployment, deploymentId: deploymentId(deployment), origin }
  }

  onAbort(signal, () => {
    for (const entry of toCome) {
      if (!journal.isSafe(entry)) {
        const { deployment, deploymentId } = entry
        const { service, image } = deployment
        logger.warn({ service, image, deploymentId }, 'verdict will not be told')
      }
    }
  })

  return {
    async intend(deployment, origin) {
      const entry = entryOf(deployment, origin, 'intended')
      await journal.put(entry)
      return {
        async written(known) {
          announced.add(known.deployment)
          const accepted: DeploymentEntry = { ...entry, stage: 'accepted' }
          await journal.put(accepted)
          announce(known, accepted)
        },
        dropped: () => journal.remove(entry),
        lost: () => void goOn(entry),
      }
    },

    async accept(known, origin) {
      const { deployment } = known
      // One that an earlier process began, and that was joined: that is told already.
      await recovered
      if (!announced.has(deployment)) {
        announced.add(deployment)
        const stage = deployment.unwritten === 'superseded' ? 'told' : 'accepted'
        const entry = entryOf(deployment, origin, stage)
        await journal.put(entry)
        announce(known, entry)
      }
    },

    async refuse(refusal) {
      const event = refusedEvent(refusal)
      const entry = { event }
      await journal.put(entry)
      void track(recovered.then(() => tellLast(event, entry)))
    },

    async idle() {
      await Promise.all(tellings)
    },
  }
}
