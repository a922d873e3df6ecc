// A notification publisher with a fake swarm, a fake spool and a notifier of the test.

import {
  type Deployment,
  deploymentId,
  type FinalDeployment,
} from '../../src/deployment/deployment.ts'
import { type DeploymentHistory, NO_HISTORY } from '../../src/history/deployment-history.ts'
import {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
  type Origin,
} from '../../src/notification/deployment-event.ts'
import {
  createJournal,
  type DeploymentState,
  type JournalEntry,
} from '../../src/notification/journal.ts'
import {
  createNotificationPublisher,
  type NotificationPublisher,
} from '../../src/notification/notification-publisher.ts'
import type { Notifier } from '../../src/notification/notifier.ts'
import { createDeployments, type Deployments } from '../../src/rollout/deployments.ts'
import { createServiceReadings } from '../../src/rollout/service-readings.ts'
import { createVerdictHolds } from '../../src/rollout/verdict-holds.ts'
import { createNodeList } from '../../src/swarm/node-list.ts'
import { createServiceEvents } from '../../src/swarm/service-events.ts'
import { createFakeSpool, type FakeSpool } from './fake-spool.ts'
import { createFakeSwarm, type FakeSwarm } from './fake-swarm.ts'
import { createRecordingLogger, type RecordingLogger } from './recording-fakes.ts'

/** A publisher, and what it works with. */
export interface Harness {
  readonly publisher: NotificationPublisher
  readonly deployments: Deployments
  readonly logger: RecordingLogger
  readonly swarm: FakeSwarm
  readonly spool: FakeSpool
  /** Aborting it ends the process. */
  readonly stop: AbortController
  /** The events that the notifier received, such as `refused shop 1`: service, and number of the request. */
  readonly published: readonly string[]
  /** Rejects a request; resolves once that is stored. */
  refuse(service: string, number: number): Promise<void>
}

const stops = new Set<AbortController>()

/** Stops the publishers of all harnesses. */
export function stopPublishers(): void {
  for (const stop of stops) {
    stop.abort()
  }
  stops.clear()
}

export function originOf(number: number): Origin {
  const metadata = { commit: 'a1', number: String(number) }
  return { messageId: String(number).padStart(32, '0'), caller: 'ci', metadata }
}

export interface HarnessOptions {
  readonly swarm?: FakeSwarm
  /** Null: none. */
  readonly spool?: FakeSpool | null
  readonly notifierEvents?: readonly DeploymentEventName[]
  /** Overrides of the registry of deployments. */
  readonly known?: Partial<Deployments>
  /** The histories. Default: none is kept. */
  readonly history?: Pick<DeploymentHistory, 'read'>
}

export function createHarness(notify: Notifier, options: HarnessOptions = {}): Harness {
  const { swarm = createFakeSwarm() } = options
  const spool = options.spool ?? createFakeSpool()
  const { notifierEvents = deploymentEventNames, known, history = NO_HISTORY } = options
  const stop = new AbortController()
  stops.add(stop)
  const { signal } = stop
  const logger = createRecordingLogger()
  const published: string[] = []
  function record(event: DeploymentEvent): void | Promise<void> {
    const number = event.metadata.number ?? Number(event.id.replace(/^msg_(\d+)_.*/, '$1'))
    published.push(`${event.event} ${event.service} ${number}`)
    return notify(event)
  }
  const all = createDeployments({
    ...{ swarm, logger, signal, evidenceLogs: true, rolloutTimeoutMs: 1_800_000 },
    events: createServiceEvents(swarm, { signal, logger }),
    readings: createServiceReadings(swarm, createNodeList(swarm)),
    holds: createVerdictHolds(),
  })
  const deployments = { ...all, ...known }
  const publisher = createNotificationPublisher({
    ...{ swarm, deployments, logger, signal, notifierEvents, history },
    spool: options.spool === null ? undefined : spool,
    notifier: Object.assign(record, notify.idle === undefined ? {} : { idle: notify.idle }),
  })
  return {
    ...{ publisher, deployments, logger, swarm, spool, stop, published },
    refuse: (service, number) =>
      publisher.publishRefused({
        ...{ service, image: 'me/app:v2', reason: `reason ${number}` },
        ...{ nowMs: Date.now(), origin: originOf(number) },
      }),
  }
}

export function unwritten(service: string, why: FinalDeployment['unwritten']): FinalDeployment {
  return {
    ...{ service, serviceId: '4cdgfyky7ozwh3htjfw0d12qv', image: 'me/app:v2' },
    ...{ resolved: 'me/app:v2', previous: 'me/app:v2', forceUpdate: '0', versionIndex: 10 },
    ...{ startedAt: new Date(Date.now()).toISOString(), unwritten: why },
  }
}

/** A spool with the records of an earlier process. */
export async function leave(...entries: readonly JournalEntry[]): Promise<FakeSpool> {
  const spool = createFakeSpool()
  const journal = createJournal(spool, createRecordingLogger())
  for (const entry of entries) {
    await journal.put(entry)
  }
  return spool.copy()
}

export function entryOf(
  deployment: Deployment,
  state: DeploymentState,
  number: number,
): JournalEntry {
  const origin = originOf(number)
  const { messageId } = origin
  return {
    ...{ key: messageId, state, deployment, deploymentId: deploymentId(deployment) },
    ...{ messageId, origin },
  }
}

/** A deployment that is about to be written over the current spec of a service. */
export function preparedOver(swarm: FakeSwarm, name: string): Deployment {
  const { ID, Version } = swarm.service(name)
  const { unwritten: _, ...rest } = unwritten(name, 'unchanged')
  return { ...rest, serviceId: ID, versionIndex: Version.Index }
}

export function never(): Promise<void> {
  return new Promise(() => {})
}

export function undelivered({ lines }: RecordingLogger): readonly unknown[] {
  return lines.filter(({ message }) => message.startsWith('message not delivered'))
}
