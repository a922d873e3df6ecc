// Tells the notifier of deployments: that they were accepted, and how they ended; also of those that
// an earlier process began.

import { onAbort } from '../async/abort.ts'
import { backoffMs } from '../async/backoff.ts'
import { waitFor } from '../async/wait-for.ts'
import { type Deployment, deploymentId } from '../deployment/deployment.ts'
import { endVerdicts, type Outcome } from '../deployment/verdict.ts'
import { writeStatus } from '../deployment/write-status.ts'
import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { Deployments } from '../rollout/deployments.ts'
import type { KnownDeployment } from '../rollout/known-deployment.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { errorMessage } from '../text/error-message.ts'
import {
  acceptedEvent,
  type DeploymentEvent,
  type DeploymentEventName,
  endedEvent,
  type Origin,
  type RejectedRequest,
  refusedEvent,
} from './deployment-event.ts'
import {
  createJournal,
  type DeploymentEntry,
  type EventEntry,
  type JournalEntry,
} from './journal.ts'
import type { Notifier } from './notifier.ts'
import type { Spool } from './spool.ts'

/** A write that is about to be sent. One of its methods is called, once. */
export interface PendingWrite {
  /** The engine has it: it is told, now and at its end. Resolves once that would outlive a crash. */
  committed(known: KnownDeployment): Promise<void>
  /** The engine does not have it, and never will. */
  aborted(): void
  /** Nobody knows whether the engine has it: that is found out, and it is told if it has. */
  uncertain(): void
}

/** Tells of deployments. */
export interface NotificationPublisher {
  /** Keeps a deployment that is about to be written; resolves once that would outlive a crash. */
  prepare(deployment: Deployment, origin: Origin): Promise<PendingWrite>
  /**
   * Tells of a deployment that is accepted without a write of its own, unless it was told already.
   * Resolves once that would outlive a crash.
   */
  publishAccepted(known: KnownDeployment, origin: Origin): Promise<void>
  /**
   * Keeps a deployment that a request joined by its idempotency key, while it is not known yet what an
   * earlier process left: should that process have begun it and this one be killed as well, then the next
   * one still knows that it was written. Otherwise whoever began it tells of it.
   */
  trackJoined(known: KnownDeployment, origin: Origin): Promise<void>
  /** Tells of a request that was turned away. Resolves once that would outlive a crash. */
  publishRefused(refusal: RejectedRequest): Promise<void>
  /** Resolves when the notifier is done with all that it was told so far. */
  idle(): Promise<void>
}

/** What an announcer works with. */
export interface NotificationPublisherOptions {
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
export function createNotificationPublisher({
  notifier,
  ...tools
}: NotificationPublisherOptions): NotificationPublisher {
  return notifier === undefined ? SILENT : createPublisher(notifier, tools)
}

const SILENT: NotificationPublisher = {
  prepare: async () => ({ committed: async () => {}, aborted() {}, uncertain() {} }),
  async publishAccepted() {},
  async trackJoined() {},
  async publishRefused() {},
  async idle() {},
}

const NOW = Promise.resolve()
// A write may come through after its call failed: a leader lost its quorum, a connection broke.
const SETTLE_MS = 10_000
const NOTIFIER_ENDS_WITHIN_MS = 60_000
// What an earlier process left is read at once, or when that process ends.
const RECOVER_WITHIN_MS = 60_000

const LOST: Omit<Outcome, 'endedAt'> = {
  verdict: 'unknown',
  message:
    'Deployer lost sight of the service while it was writing this, and the service does not tell whether the engine took it',
}

function createPublisher(
  notifier: Notifier,
  {
    notifierEvents,
    spool,
    swarm,
    deployments,
    logger,
    signal,
  }: Omit<NotificationPublisherOptions, 'notifier'>,
): NotificationPublisher {
  const wanted = new Set(notifierEvents)
  const isEndWanted = endVerdicts.some((verdict) => wanted.has(verdict))
  const journal = createJournal(spool, logger)
  /** Of which something is to be told, or to be found out. */
  const inHand = new Map<string, DeploymentEntry>()
  /** What was told last of each service. */
  const latest = new Map<string, Promise<void>>()
  const tellings = new Set<Promise<void>>()
  let isRecovered = false
  const recovered = spool === undefined ? undefined : recover()
  /** What comes in now follows what an earlier process left, unless that cannot be read for long. */
  const begun =
    recovered === undefined
      ? NOW
      : waitFor(recovered, { timeoutMs: RECOVER_WITHIN_MS, signals: [signal] })

  /** Tells of a service one thing after the other, and what an earlier process left first. */
  function inTurn(service: string, act: () => Promise<void>): void {
    const telling = begun.then(() => follow(service, act))
    tellings.add(telling)
    void telling.then(() => tellings.delete(telling))
  }

  async function follow(service: string, act: () => Promise<void>): Promise<void> {
    const turn = (latest.get(service) ?? NOW).then(act).catch((error) => {
      logger.error({ err: error, service }, 'deployment not told')
    })
    latest.set(service, turn)
    await turn
    if (latest.get(service) === turn) {
      latest.delete(service)
    }
  }

  function announce(known: KnownDeployment, entry: DeploymentEntry): void {
    holdAndWarn(entry)
    inTurn(entry.deployment.service, () => tellAccepted(entry))
    awaitEnd(known, entry)
  }

  async function tellAccepted(entry: DeploymentEntry): Promise<void> {
    if (!(await isOurs(entry))) {
      return
    }
    const told: DeploymentEntry = { ...entry, stage: 'told' }
    if (entry.stage !== 'told') {
      hold(told)
      await tell(acceptedEvent(entry))
    }
    if (!isEndWanted) {
      release(entry)
    } else if (entry.stage !== 'told') {
      void journal.put(told)
    }
  }

  /** Another entry may be told in its place, or another process may tell it. */
  async function isOurs(entry: DeploymentEntry): Promise<boolean> {
    if (!isHeld(entry)) {
      return false
    }
    if (!(await journal.owns(entry))) {
      inHand.delete(nameOf(entry))
    }
    return isHeld(entry) && !isForLater(entry)
  }

  /** The next process tells what is kept, behind what this one could not read any more. */
  function isForLater(entry: JournalEntry): boolean {
    return signal.aborted && !isRecovered && journal.isSafe(entry)
  }

  function isHeld(entry: DeploymentEntry): boolean {
    return inHand.get(nameOf(entry))?.origin.messageId === entry.origin.messageId
  }

  function awaitEnd(known: KnownDeployment, entry: DeploymentEntry): void {
    if (isEndWanted) {
      void known.ended.then((outcome) =>
        inTurn(entry.deployment.service, () => tellEnd(outcome, entry)),
      )
    }
  }

  async function tellEnd(outcome: Outcome, entry: DeploymentEntry): Promise<void> {
    if (await isOurs(entry)) {
      const event = endedEvent(entry, outcome)
      if (wanted.has(event.event) && entry.deployment.unwritten === undefined) {
        // It is final now: should this process be killed before all is told, the next one tells the same.
        await journal.put({ event })
      }
      await tell(event)
      release(entry)
    }
  }

  async function tellKept(entry: EventEntry): Promise<void> {
    if ((await journal.owns(entry)) && !isForLater(entry)) {
      await tell(entry.event)
      journal.remove(entry)
    }
  }

  /** A message that fails is logged and changes nothing for the deployment. */
  async function tell(event: DeploymentEvent): Promise<void> {
    try {
      if (wanted.has(event.event)) {
        await withinTime(async () => notifier(event), signal)
      }
    } catch (error) {
      logger.error({ ...event, reason: errorMessage(error) }, 'message not delivered')
    }
  }

  function hold(entry: DeploymentEntry): void {
    inHand.set(nameOf(entry), entry)
  }

  function holdAndWarn(entry: DeploymentEntry): void {
    hold(entry)
    if (signal.aborted) {
      warnOfSilence(entry)
    }
  }

  function release(entry: DeploymentEntry): void {
    inHand.delete(nameOf(entry))
    journal.remove(entry)
  }

  async function recover(): Promise<void> {
    journal.onLeft(resume)
    resume(await journal.read())
    isRecovered = true
  }

  function resume(entries: readonly JournalEntry[]): void {
    const ended = new Set(
      entries.flatMap((entry) => ('event' in entry ? writeOf(entry.event) : [])),
    )
    for (const entry of entries) {
      if ('event' in entry) {
        void follow(entry.event.service, () => tellKept(entry))
      } else if (ended.has(writeOf(entry.deployment))) {
        // A request had joined it whose process was killed as well.
        journal.remove(entry)
      } else {
        resumeDeployment(entry)
      }
    }
  }

  /**
   * A request can have joined the deployment before it was known that an earlier process began it; one
   * of the two entries is told. It is that of the earlier process, unless the other one was told.
   */
  function resumeDeployment(entry: DeploymentEntry): void {
    const joined = inHand.get(nameOf(entry))
    if (joined?.origin.messageId === entry.origin.messageId) {
      return
    }
    if (joined?.stage === 'told') {
      journal.remove(entry)
      return
    }
    if (joined !== undefined) {
      journal.remove(joined)
    }
    // Whoever joined it had seen that it was written.
    const stage = entry.stage === 'intended' ? (joined?.stage ?? 'intended') : entry.stage
    const resumed: DeploymentEntry = { ...entry, stage }
    hold(resumed)
    void follow(entry.deployment.service, () => goOn(resumed))
  }

  /** Finds out what became of a deployment whose course nobody in this process knows. */
  async function goOn(entry: DeploymentEntry): Promise<void> {
    const { deployment, stage } = entry
    // A request that joined it here has seen that it was written; by now the service may not show it.
    const isOpen = stage === 'intended' && deployments.findByWrite(deployment) === undefined
    const written = isOpen ? await findOut(deployment) : 'written'
    if (signal.aborted || !isHeld(entry)) {
      return
    }
    switch (written) {
      case 'written': {
        const accepted: DeploymentEntry = stage === 'told' ? entry : { ...entry, stage: 'accepted' }
        await journal.put(accepted)
        await tellAccepted(accepted)
        const known = knownOf(deployment)
        // Should it have ended, that comes before what was written since.
        await known.observed
        const outcome = known.outcome()
        if (outcome === undefined) {
          awaitEnd(known, entry)
        } else {
          await tellEnd(outcome, entry)
        }
        break
      }
      case 'not-written':
        release(entry)
        break
      case 'unknown':
        await tellEnd({ ...LOST, endedAt: new Date(swarm.now()).toISOString() }, entry)
    }
  }

  function knownOf(deployment: Deployment): KnownDeployment {
    if (deployment.unwritten !== undefined) {
      return deployments.addUnwritten(deployment)
    }
    return (
      deployments.findByWrite(deployment) ?? deployments.register(deployments.inspect(deployment))
    )
  }

  /** Looks at the service until the engine shows it, however long that takes. */
  async function findOut(deployment: Deployment): Promise<'written' | 'not-written' | 'unknown'> {
    const settlesAt = Date.parse(deployment.startedAt) + SETTLE_MS
    for (let looks = 1; !signal.aborted; looks += 1) {
      try {
        const written = writeStatus(deployment, await swarm.inspectService(deployment.serviceId))
        if (written !== 'not-yet') {
          return written
        }
        if (swarm.now() >= settlesAt) {
          return 'not-written'
        }
      } catch (error) {
        if (error instanceof DeployerError && error.code === 'service-not-found') {
          break
        }
      }
      await waitFor(new Promise(() => {}), { timeoutMs: backoffMs(looks), signals: [signal] })
    }
    return 'unknown'
  }

  function entryOf(
    deployment: Deployment,
    origin: Origin,
    stage: DeploymentEntry['stage'],
  ): DeploymentEntry {
    return { stage, deployment, deploymentId: deploymentId(deployment), origin }
  }

  function warnOfSilence(entry: DeploymentEntry): void {
    if (isEndWanted && !journal.isSafe(entry)) {
      const { deployment, deploymentId } = entry
      const { service, image } = deployment
      logger.warn({ service, image, deploymentId }, 'verdict will not be told')
    }
  }

  onAbort(signal, () => {
    for (const entry of inHand.values()) {
      warnOfSilence(entry)
    }
  })

  async function accept(known: KnownDeployment, origin: Origin): Promise<void> {
    const { deployment } = known
    const stage = deployment.unwritten === 'superseded' ? 'told' : 'accepted'
    const entry = entryOf(deployment, origin, stage)
    // One that was joined is told as whoever began it has it. Should an earlier process have begun
    // it, its entry takes the place of this one once it is read; no request waits for that.
    if (!inHand.has(nameOf(entry))) {
      hold(entry)
      await journal.put(entry)
      if (isHeld(entry)) {
        announce(known, entry)
      }
    }
  }

  return {
    publishAccepted: accept,

    async trackJoined(known, origin) {
      if (spool !== undefined && !isRecovered) {
        await accept(known, origin)
      }
    },

    async prepare(deployment, origin) {
      const entry = entryOf(deployment, origin, 'intended')
      await journal.put(entry)
      return {
        async committed(known) {
          const accepted: DeploymentEntry = { ...entry, stage: 'accepted' }
          await journal.put(accepted)
          announce(known, accepted)
        },
        aborted: () => journal.remove(entry),
        uncertain() {
          holdAndWarn(entry)
          inTurn(deployment.service, () => goOn(entry))
        },
      }
    },

    async publishRefused(refusal) {
      const entry = { event: refusedEvent(refusal) }
      await journal.put(entry)
      inTurn(refusal.service, () => tellKept(entry))
    },

    async idle() {
      await Promise.all(tellings)
      try {
        await notifier.idle?.()
      } catch (error) {
        logger.error({ reason: errorMessage(error) }, 'notifier failed')
      }
    },
  }
}

/** One that never ends would keep all that comes after it; at the end nothing comes any more. */
async function withinTime(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  let isDone = false
  const done = work().finally(() => {
    isDone = true
  })
  await waitFor(done, { timeoutMs: NOTIFIER_ENDS_WITHIN_MS, signals: [signal] })
  if (!isDone && !signal.aborted) {
    throw new Error(`the notifier did not end within ${NOTIFIER_ENDS_WITHIN_MS} ms`)
  }
  await done
}

/** What a deployment and its events have in common, however an ID spells the rest. */
function writeOf({ serviceId, startedAt }: Pick<Deployment, 'serviceId' | 'startedAt'>): string {
  return `${serviceId} ${startedAt}`
}

/** The same however a caller spells the image; each request that wrote nothing has its own. */
function nameOf({ deployment, origin }: DeploymentEntry): string {
  const { serviceId, versionIndex, startedAt, unwritten } = deployment
  return unwritten === undefined ? `${serviceId} ${versionIndex} ${startedAt}` : origin.messageId
}
